"""Frames, messages and policies with defaults for the fields that do not matter to a test."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from edge_worker.frames.frame import Frame
from edge_worker.mqtt.message import Incoming
from edge_worker.mqtt.status import LinkStatus


@dataclass(frozen=True)
class SimplePolicy:
    """The part of a camera's configuration that the scheduler reads."""

    delivery: Literal["latest", "every"] = "latest"
    max_age_s: float | None = None
    min_interval_s: float = 0.0


def make_frame(camera: str = "door", **fields: Any) -> Frame:  # noqa: ANN401 - any field of Frame
    """Create a frame of *camera* that arrived at 0 seconds, with *fields* replaced."""
    defaults: dict[str, Any] = {
        "payload": b"image",
        "frame_id": "1",
        "sender_id": False,
        "captured_at": None,
        "received_at": 1_700_000_000.0,
        "arrived": 0.0,
        "retained": False,
        "redelivered": False,
        "source": 0,
        "delivery": None,
    }
    return Frame(camera=camera, **(defaults | fields))


def make_incoming(topic: str, payload: bytes = b"", **fields: Any) -> Incoming:  # noqa: ANN401 - any field of Incoming
    """Create a message on *topic* that arrived at 0 seconds and needs no acknowledgement, with *fields* replaced."""
    defaults: dict[str, Any] = {
        "qos": 1,
        "retained": False,
        "redelivered": False,
        "properties": {},
        "content_type": "",
        "response_topic": "",
        "correlation": None,
        "arrived": 0.0,
        "delivery": None,
    }
    return Incoming(topic, payload, **(defaults | fields))


def make_link_status(**fields: Any) -> LinkStatus:  # noqa: ANN401 - any field of LinkStatus
    """Create the status of a connected and subscribed link, with *fields* replaced."""
    defaults: dict[str, Any] = {
        "connected": True,
        "subscribed": True,
        "protocol": "5",
        "epoch": 1,
        "trouble": "",
        "conflict": "",
        "withheld": "",
        "sessions_lost": 0,
        "takeovers": 0,
        "shed": 0,
        "queued": 0,
        "publications_lost": 0,
        "publications_without_subscriber": 0,
        "max_packet": None,
        "keepalive_s": 30,
    }
    return LinkStatus(**(defaults | fields))
