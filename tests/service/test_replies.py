"""The reply to a frame: identity everywhere, the labels last, errors with their reason."""

from __future__ import annotations

import json
import zlib
from struct import pack
from typing import TYPE_CHECKING, Any

import pytest
from outputs import encoded_result
from samples import make_frame

from edge_worker.common.errors import FrameRejected
from edge_worker.config import OutputConfig, OverlayConfig
from edge_worker.frames.frame import Delivery
from edge_worker.frames.request import Request
from edge_worker.imaging import png
from edge_worker.inference.types import EncodedImage, EncodedResult
from edge_worker.messages import ModelName
from edge_worker.mqtt.outbox import Outbox
from edge_worker.service.replies import Now, Parsed, Reply, ReplyBuilder, timings_ms

if TYPE_CHECKING:
    from collections.abc import Iterable

    from edge_worker.mqtt.message import Outgoing

MODEL = ModelName(name="tiny", sha256="0" * 64, engine="openvino", precision="f32")
NOW = Now(epoch_s=1_700_000_002.0, monotonic_s=2.0)
BODY: dict[str, Any] = {"image": {"width": 2, "height": 1}, "labels": [], "persons": [], "unassigned": []}


def chunk(kind: bytes, data: bytes) -> bytes:
    return pack(">I", len(data)) + kind + data + pack(">I", zlib.crc32(kind + data))


MAP = (
    png.SIGNATURE
    + chunk(b"IHDR", pack(">IIBBBBB", 2, 1, 8, 3, 0, 0, 0))
    + chunk(b"PLTE", b"\0\0\0")
    + chunk(b"IDAT", zlib.compress(b"\0\0\0"))
    + chunk(b"IEND", b"")
)


def parsed(*, overlay: bytes | None = None, cached: bool = False) -> Parsed:
    result = encoded_result(2, 1, MAP, overlay, BODY, {"decode": 1.5, "inference": 20.0})
    return Parsed(result, MODEL, taken=0.5, cached=cached)


def builder_of(**outputs: Any) -> ReplyBuilder:  # noqa: ANN401 - any section of OutputConfig
    return ReplyBuilder("box-1", OutputConfig(**outputs))


def by_kind(replies: Iterable[Reply]) -> dict[str, Outgoing]:
    return {reply.kind: reply.message for reply in replies}


def test_the_labels_are_the_commit_record() -> None:
    """They come after the map, so whoever has the labels can have the map."""
    messages = by_kind(builder_of().results(make_frame(), parsed(), NOW))
    assert list(messages) == ["colormap", "labels"]
    assert messages["labels"].topic == "parsing/door/labels"
    assert messages["labels"].after == frozenset()  # live: they need not wait
    acknowledged = by_kind(builder_of().results(make_frame(delivery=Delivery("every", 1, 1)), parsed(), NOW))
    assert acknowledged["labels"].after == {acknowledged["colormap"].publication}
    assert acknowledged["labels"].needs == {acknowledged["colormap"].publication}


def test_every_reply_carries_the_frames_identity() -> None:
    """In properties for MQTT 5, in the JSON, and inside the PNG for MQTT 3.1.1."""
    frame = make_frame(frame_id="f-1", captured_at="2023-11-14T22:13:19Z")
    messages = by_kind(builder_of().results(frame, parsed(), NOW))
    identity = {"frame-id": "f-1", "camera": "door", "node": "box-1", "captured-at": "2023-11-14T22:13:19Z"}
    assert all(identity.items() <= message.properties.items() for message in messages.values())
    assert identity.items() <= png.read_text(messages["colormap"].payload).items()
    labels = json.loads(messages["labels"].payload)
    assert (labels["frame_id"], labels["camera"], labels["node"]) == ("f-1", "door", "box-1")
    assert labels["schema"] == "edge-worker.labels/1"


def test_times_add_up_from_arrival_to_publication() -> None:
    """``queued`` and ``total`` are the worker's, the stages between are the model process's."""
    assert timings_ms(make_frame(), parsed(), NOW) == {
        "queued": 500.0,
        "decode": 1.5,
        "inference": 20.0,
        "total": 2000.0,
    }


def test_a_cached_reply_claims_no_work() -> None:
    """Its stages took place another time."""
    frame = make_frame()
    labels = json.loads(by_kind(builder_of().results(frame, parsed(cached=True), NOW))["labels"].payload)
    assert labels["cached"] is True
    assert labels["timings_ms"]["inference"] == 0
    assert labels["timings_ms"]["total"] == 2000.0


def test_the_replies_to_a_frame_owed_must_arrive() -> None:
    """What is to be acknowledged may not be dropped on the way; a live image may."""
    owed = make_frame(delivery=Delivery("every", 1, 1))
    assert all(reply.message.must_arrive for reply in builder_of().results(owed, parsed(), NOW))
    assert not any(reply.message.must_arrive for reply in builder_of().results(make_frame(), parsed(), NOW))


def test_all_replies_expire_where_results_do() -> None:
    """The error that takes their place, too."""
    expiring = builder_of(result_expiry_s=60)
    messages = [reply.message for reply in expiring.results(make_frame(), parsed(overlay=b"jpeg"), NOW)]
    messages.append(expiring.error(make_frame(), FrameRejected("undecodable", "empty"), NOW))
    assert [message.expiry_s for message in messages] == [60] * 4
    assert builder_of().error(make_frame(), FrameRejected("undecodable", "empty"), NOW).expiry_s is None


def test_an_overlay_is_sent_where_there_is_one() -> None:
    """A snapshot publishes it though the configuration has it turned off."""
    messages = by_kind(
        builder_of(overlay=OverlayConfig(enabled=False)).results(make_frame(), parsed(overlay=b"jpeg"), NOW)
    )
    assert messages["overlay"].content_type == "image/jpeg"


def test_each_person_has_a_crop_of_its_own() -> None:
    """On a topic with its number, before the labels, which do not need it."""
    images = tuple(EncodedImage("crops", b"jpeg %d" % number, number) for number in range(2))
    result = EncodedResult(2, 1, images, BODY, {})
    frame = make_frame(delivery=Delivery("every", 1, 1))
    replies = builder_of().results(frame, Parsed(result, MODEL, taken=0.5, cached=False), NOW)
    assert [(reply.message.topic, reply.required) for reply in replies] == [
        ("parsing/door/crop/0", False),
        ("parsing/door/crop/1", False),
        ("parsing/door/labels", True),
    ]
    assert replies[1].message.payload == b"jpeg 1"
    assert replies[2].message.after == {reply.message.publication for reply in replies[:2]}
    assert replies[2].message.needs == frozenset()


def test_a_rejection_says_why() -> None:
    """One message with a stable word and an explanation."""
    message = builder_of().error(make_frame(), FrameRejected("undecodable", "empty"), NOW)
    content = json.loads(message.payload)
    assert (message.topic, content["reason"], content["detail"]) == ("parsing/door/error", "undecodable", "empty")
    assert not message.retain


@pytest.mark.parametrize(
    ("too_large", "given_up"),
    [
        ("colormap", {"colormap", "labels", "answered"}),
        ("labels", {"labels", "answered"}),
        ("overlay", {"overlay"}),
        ("error", {"error"}),
    ],
)
def test_other_nodes_hear_of_an_answer_that_stands(too_large: str, given_up: set[str]) -> None:
    """They let the frame go then. After results that are given up comes an error; after an error comes nothing."""
    frame = make_frame(delivery=Delivery("split", 1, 7))
    builder = ReplyBuilder("box-1", OutputConfig(overlay=OverlayConfig(enabled=True)), "edge-worker/box-1/answered")
    replies = builder.results(frame, parsed(overlay=b"JPEG"), NOW)
    if too_large == "error":
        replies = (Reply("error", builder.error(frame, FrameRejected("undecodable", "no image"), NOW), required=True),)
    outbox, kinds = Outbox(), {}
    for reply in (*replies, *builder.answered(frame, replies)):
        kinds[reply.message.publication] = reply.kind
        outbox.add(reply.message, 100 if reply.kind == too_large else 10, 0.0)
    assert {kinds[lost.publication] for lost in outbox.connected(None, 50, 0.0)} == given_up


def test_a_request_is_answered_to_whoever_asked_alone() -> None:
    """Everything goes to its Response Topic with its Correlation Data, retained nowhere; the labels come last."""
    frame = make_frame(delivery=Delivery("requests", 1, 1), request=Request("replies/me", b"7"))
    builder = builder_of(overlay={"enabled": True}, labels={"retain": True})
    messages = [reply.message for reply in builder.results(frame, parsed(overlay=b"jpeg"), NOW)]
    assert {(one.topic, one.correlation, one.retain) for one in messages} == {("replies/me", b"7", False)}
    assert [one.properties["kind"] for one in messages] == ["overlay", "colormap", "labels"]
    assert messages[-1].after == {one.publication for one in messages[:-1]}
    error = builder.error(frame, FrameRejected("undecodable", "cut off"), NOW)
    assert (error.topic, error.correlation, error.properties["kind"]) == ("replies/me", b"7", "error")
    assert builder.topic("overlay", frame) == "replies/me"
