"""An example of every message for the AsyncAPI document, made with the models and therefore always valid."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from edge_worker.inference.outputs import KINDS
from edge_worker.messages.commands import CommandResponse
from edge_worker.messages.node import (
    AccountMessage,
    AnsweredMessage,
    Cache,
    CameraSettings,
    CaughtUpMessage,
    ConnectionMessage,
    ModelCard,
    ModelClass,
    ModelProcessMessage,
    SettingsMessage,
    SpreadMessage,
    StatsMessage,
    StatusMessage,
    Threads,
)
from edge_worker.messages.results import ErrorMessage, LabelsMessage, ModelName, Timings

if TYPE_CHECKING:
    from collections.abc import Mapping

    from edge_worker.messages.base import Message

_NODE, _SESSION, _FRAME_ID = "box", "5b6c0f2d9a1e4c37", "9f1c2ab04d6e8f35"
_CAPTURED, _RECEIVED, _PUBLISHED = (f"2026-01-31T12:00:00.{ms}Z" for ms in ("100", "123", "184"))
_FRAME: Final = {"node": _NODE, "camera": "front-door", "frame_id": _FRAME_ID, "captured_at": _CAPTURED}
_MODEL = ModelName(name="m2fp-lite", sha256="0" * 64, engine="openvino", precision="f32")
_ACCOUNT = AccountMessage(
    received=104, processed=100, rejected={"undecodable": 1}, dropped={"superseded": 2}, in_work=1
)
_FACE: Final = {"id": 13, "name": "Face", "score": 0.93, "box": [301, 84, 38, 46], "pixels": 1290}
_COAT: Final = {"id": 7, "name": "Coat", "score": 0.88, "box": [262, 131, 121, 170], "pixels": 15210}

_LABELS = LabelsMessage(
    **_FRAME,
    received_at=_RECEIVED,
    published_at=_PUBLISHED,
    image={"width": 640, "height": 480},
    labels=[
        {**_COAT, "color": "#0055ff", "pixels": 15250, "fraction": 0.04964},
        {**_FACE, "color": "#ffdec9", "fraction": 0.0042},
    ],
    persons=[{"id": 0, "score": 0.9, "box": [262, 84, 121, 217], "pixels": 16500, "parts": [_COAT, _FACE]}],
    unassigned=[{"id": 7, "name": "Coat", "pixels": 40}],
    model=_MODEL,
    timings_ms=Timings(queued=0.4, decode=5.1, preprocess=1.2, inference=44, postprocess=6.1, encode=3.4, total=60.2),
    age_ms=84.0,
)
_ERROR = ErrorMessage(
    **_FRAME, received_at=_RECEIVED, published_at=_PUBLISHED, reason="undecodable", detail="the JPEG ends in its header"
)
_STATUS = StatusMessage(node=_NODE, version="0.1.0", session=_SESSION, state="online", since=_RECEIVED, pid=4711)
_CARD = ModelCard(
    node=_NODE,
    published_at=_PUBLISHED,
    model=_MODEL,
    choice="the fastest engine here that is faithful",
    classes=(ModelClass(id=0, name="Background", color="#000000"), ModelClass(id=13, name="Face", color="#ffdec9")),
    threads=Threads(requested={"inference": "auto"}, effective={"inference": 2}),
)
_STATS = StatsMessage(
    node=_NODE,
    session=_SESSION,
    published_at=_PUBLISHED,
    uptime_s=60,
    interval_s=30,
    total=_ACCOUNT,
    cameras={"front-door": _ACCOUNT},
    frames_per_s=1.7,
    timings_ms={"inference": SpreadMessage(count=51, p50=44, p95=47.5)},
    age_ms=SpreadMessage(count=51, p50=84, p95=121),
    processes=(
        ModelProcessMessage(
            pid=4720, ready=True, phase="idle", rss_mb=412, frames=100, crashes=0, recycles=0, frame_limit_s=30
        ),
    ),
    connections=(
        ConnectionMessage(
            name="control",
            connected=True,
            subscribed=True,
            protocol="5",
            epoch=1,
            sessions_lost=0,
            takeovers=0,
            shed=0,
            queued=0,
            publications_lost=0,
            keepalive_s=30,
        ),
    ),
    cache=Cache(hits=3, misses=97, size_mb=1.2),
    rss_mb=58,
)
_SETTINGS = SettingsMessage(
    node=_NODE,
    paused=False,
    cameras={"front-door": CameraSettings(paused=False, min_interval_s=1, overlay=True)},
)
_RESPONSE = CommandResponse(node=_NODE, command="pause", status="ok", transaction=7, published_at=_PUBLISHED)

MESSAGES: Final[Mapping[str, Message]] = MappingProxyType(
    {
        "labels": _LABELS,
        "error": _ERROR,
        "status": _STATUS,
        "model": _CARD,
        "stats": _STATS,
        "settings": _SETTINGS,
        "answered": AnsweredMessage(node=_NODE, camera="front-door", frame_id=_FRAME_ID),
        "caught-up": CaughtUpMessage(node=_NODE, joined="box-2", session=_SESSION),
        "response": _RESPONSE,
    }
)
"""Messages that a worker publishes, by name."""
_IDENTITY: Final = {"frame-id": _FRAME_ID, "camera": "front-door", "node": _NODE, "captured-at": _CAPTURED}
_SIZE: Final = {"width": "640", "height": "480"}

HEADERS: Final[Mapping[str, Mapping[str, str]]] = MappingProxyType(
    {
        "image": {"frame-id": "door-000042", "captured-at": _CAPTURED},
        "request": {"frame-id": "upload-17", "outputs": "colormap,overlay", "masks": "rle", "score-threshold": "0.5"},
        **{
            name: {**_IDENTITY, **_SIZE, **({"kind": name, "person": "0"} if kind.per_person else {})}
            for name, kind in KINDS.items()
        },
        "labels": {**_IDENTITY, **_SIZE, "schema": "edge-worker.labels/1"},
        "error": {**_IDENTITY, "schema": "edge-worker.error/1"},
    }
)
"""User properties by the message's name; for messages with an image they are the whole example."""

PAYLOADS: Final[Mapping[str, Any]] = MappingProxyType(
    {
        "envelope": {
            "image": "/9j/4AAQSkZJRgABAQAAAQABAAD/2wBDAA==",
            "frame_id": "door-000042",
            "captured_at": _CAPTURED,
        },
        "pause": {"camera": "front-door", "transaction": 7},
        "resume": {},
        "set": {"camera": "front-door", "min_interval_s": 1, "overlay": True},
        "snapshot": {"camera": "front-door", "transaction": "now"},
        "forget": {"camera": "front-door"},
        **{name: message.to_values() for name, message in MESSAGES.items()},
    }
)
"""JSON payloads by the message's name."""
