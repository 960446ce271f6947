"""Events go where they belong, in order, and frames get their identity."""

from __future__ import annotations

import base64
import json
import time
from typing import Any

import pytest
from samples import SimplePolicy, make_incoming
from structlog.testing import capture_logs

from edge_worker.common import log_events
from edge_worker.common.topics import Template
from edge_worker.frames.frame import Delivery, Frame, content_id
from edge_worker.frames.queue import FrameQueue
from edge_worker.frames.request import Request
from edge_worker.mqtt.events import Arrived, Connected, LinkEvent, Published
from edge_worker.mqtt.inbox import Inbox
from edge_worker.service.router import Handlers, Route, Router

SOON_S = 10.0


class Bench:
    """A router between a queue and recording handlers."""

    def __init__(self, reply_prefix: str | None = None) -> None:
        """Route ``cameras/{camera}/frame`` of link ``every`` to section 0."""
        self.acknowledged: list[Delivery] = []
        self.link_events: list[LinkEvent] = []
        self.published: list[Published] = []
        self.lost: list[tuple[str, str]] = []
        self.failures: list[str] = []
        self.frame_queue = FrameQueue([SimplePolicy(delivery="every")], self.acknowledged.append)
        self.inbox = Inbox()
        handlers = Handlers(
            frames=self.frame_queue,
            node=lambda _, message: message.topic == "ours",
            arrive=self.frame_queue.arrive,
            published=self.published.append,
            link_changed=self.link_events.append,
            results_lost=lambda frame, reason, _: self.lost.append((frame.frame_id, reason)),
            fatal=lambda what, _: self.failures.append(what),
        )
        route = Route("every", Template("cameras/{camera}/frame"), 0, reply_prefix)
        self.router = Router(self.inbox, [route], handlers, 10_000)
        self.router.start()

    def handle(self, *events: LinkEvent) -> None:
        """Have *events* handled, and stop."""
        for event in events:
            self.inbox.put(event)
        self.router.stop(SOON_S)

    def frame(self) -> Frame:
        """Take the frame that arrived."""
        frame = self.frame_queue.take(SOON_S)
        assert frame is not None
        return frame


def arrived(topic: str = "cameras/door/frame", payload: bytes = b"image", **fields: Any) -> Arrived:  # noqa: ANN401 - any field of Incoming
    link = fields.pop("link", "every")
    return Arrived(link, make_incoming(topic, payload, **({"delivery": Delivery("every", 1, 7)} | fields)))


def test_a_frame_without_a_name_is_named_by_its_content() -> None:
    """So a redelivered one has the same id."""
    bench = Bench()
    bench.handle(arrived())
    frame = bench.frame()
    assert (frame.camera, frame.frame_id, frame.sender_id) == ("door", content_id("door", b"image"), False)


ENVELOPE = json.dumps(
    {"image": base64.b64encode(b"x").decode(), "frame_id": "e-1", "captured_at": "2026-01-01T01:00:00+01:00"}
).encode()


@pytest.mark.parametrize(
    ("fields", "frame_id", "captured_at"),
    [
        ({"properties": {"frame-id": "p-1", "captured-at": "2026-01-01T00:00:00Z"}}, "p-1", "2026-01-01T00:00:00Z"),
        ({"payload": ENVELOPE}, "e-1", "2026-01-01T00:00:00Z"),
        ({"payload": ENVELOPE, "properties": {"frame-id": "p-1"}}, "p-1", "2026-01-01T00:00:00Z"),
        ({"payload": b'{"image": "!", "frame_id": "e-2"}'}, "e-2", None),
        ({"payload": b'{"image": "!", "frame_id": "e-2", "captured_at": "yesterday"}'}, "e-2", None),
    ],
)
def test_the_senders_name_and_time_are_kept(fields: dict[str, Any], frame_id: str, captured_at: str | None) -> None:
    """From MQTT 5 properties or from the envelope, be there an image in it or not: an error bears them, too."""
    bench = Bench()
    bench.handle(arrived(**fields))
    frame = bench.frame()
    assert (frame.frame_id, frame.sender_id, frame.captured_at) == (frame_id, True, captured_at)


@pytest.mark.parametrize(
    "fields",
    [
        {"properties": {"frame-id": "x" * 500, "captured-at": "yesterday"}},
        {"payload": b'{"image": 1'},
        {"payload": b"{" * 20_000},
    ],
)
def test_what_is_no_name_is_no_reason_to_stop(fields: dict[str, Any]) -> None:
    """The frame goes on; the pipeline says what is wrong with it."""
    bench = Bench()
    bench.handle(arrived(**fields))
    assert not bench.frame().sender_id
    assert bench.failures == []


def test_a_time_that_cannot_be_read_is_logged_once_for_each_camera() -> None:
    """A camera sends it with every frame."""
    bench = Bench()
    wrong: dict[str, Any] = {"properties": {"captured-at": "yesterday"}}
    with capture_logs() as logs:
        bench.handle(*(arrived(f"cameras/{camera}/frame", **wrong) for camera in ("door", "door", "gate")))
    assert [(line["event"], line["camera"]) for line in logs] == [
        (log_events.TIME_IGNORED, "door"),
        (log_events.TIME_IGNORED, "gate"),
    ]
    assert "'yesterday'" in logs[0]["problem"]


def test_messages_of_nobody_and_of_ourselves_are_no_frames() -> None:
    """Nor is a frame that came by a link which does not carry that camera."""
    bench = Bench()
    bench.handle(arrived("ours"), arrived("strange/topic"), arrived(link="control"))
    assert bench.frame_queue.account().total.received == 0
    assert bench.failures == []


def test_a_message_that_is_no_frame_does_not_stop_its_connection() -> None:
    """The session remembers what an earlier configuration subscribed to; left alone it would keep all others back."""
    bench = Bench()
    bench.handle(arrived("strange/topic"), arrived("elsewhere", delivery=None), arrived("ours"))
    assert bench.acknowledged == [Delivery("every", 1, 7)] * 2
    assert bench.failures == []


@pytest.mark.parametrize(("too_large", "reason"), [(True, "too_big"), (False, "refused")])
def test_a_reply_given_up_is_replaced_by_an_error(too_large: bool, reason: str) -> None:  # noqa: FBT001 - a parameter
    """The camera's frame is owed a reply; the broker must not keep it for ever. Only a size is ``too_big``."""
    bench = Bench()
    bench.inbox.put(arrived())
    frame = bench.frame()
    bench.frame_queue.replied(frame, [101])
    bench.handle(Published("every", 101, ok=False, reason="why", too_large=too_large))
    assert bench.lost == [(frame.frame_id, reason)]
    assert bench.acknowledged == []


def test_the_last_reply_given_up_lets_its_frame_go() -> None:
    """An error that the broker does not take either is not made again for ever; the frame is acknowledged."""
    bench = Bench()
    bench.inbox.put(arrived())
    bench.frame_queue.replied(bench.frame(), [101], final=True)
    with capture_logs() as logs:
        bench.handle(Published("every", 101, ok=False, reason="too large"))
    assert bench.lost == []
    assert bench.acknowledged == [Delivery("every", 1, 7)]
    assert [log["problem"] for log in logs if log["event"] == log_events.FRAME_UNANSWERED] == ["too large"]


def test_a_reply_to_a_live_image_given_up_is_forgotten() -> None:
    """Its camera has newer ones, and the broker was told long ago."""
    bench = Bench()
    bench.inbox.put(arrived(delivery=None))
    bench.frame_queue.replied(bench.frame(), [101])
    bench.handle(Published("every", 101, ok=False, reason="broker away"))
    assert bench.lost == []


def test_a_reply_that_arrived_acknowledges_its_frame() -> None:
    """``Published`` is what the acknowledgement waits for."""
    bench = Bench()
    bench.inbox.put(arrived())
    bench.frame_queue.replied(bench.frame(), [101])
    bench.handle(Published("every", 101, ok=True))
    assert bench.acknowledged == [Delivery("every", 1, 7)]


def test_news_of_a_link_is_passed_on() -> None:
    """Whatever is no frame and no publication is about the link's condition."""
    bench = Bench()
    event = Connected("every", "5", session_present=True)
    bench.handle(event)
    assert bench.link_events == [event]


def test_a_defect_is_reported() -> None:
    """A router that died in silence would look like cameras that send nothing."""
    bench = Bench()
    bench.handle(arrived(arrived="not a number"))
    assert bench.failures == ["router failed"]


def test_a_request_carries_where_its_results_go() -> None:
    """Response Topic, Correlation Data and what is left of its expiry become part of the frame."""
    bench = Bench(reply_prefix="replies/")
    now = time.monotonic()
    address: dict[str, Any] = {"response_topic": "replies/me", "correlation": b"7"}
    bench.handle(arrived(properties={"outputs": "overlay"}, expiry_s=30, arrived=now, **address))
    request = bench.frame().request
    assert request == Request("replies/me", b"7", expires=now + 30, outputs=frozenset({"overlay"}))


@pytest.mark.parametrize("topic", ["", "parsing/door/labels", "replies/#"])
def test_a_request_with_nowhere_to_reply_to_is_not_parsed(topic: str) -> None:
    """It is acknowledged, or those behind it would wait for ever."""
    bench = Bench(reply_prefix="replies/")
    bench.handle(arrived(response_topic=topic))
    assert bench.acknowledged == [Delivery("every", 1, 7)]
    assert bench.frame_queue.account().total.received == 0
