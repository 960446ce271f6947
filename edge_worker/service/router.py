"""The router passes what the links report to the part it concerns. One thread, so events keep their order."""

from __future__ import annotations

import time
from dataclasses import dataclass
from threading import Thread
from typing import TYPE_CHECKING, Final

import structlog

from edge_worker.common import log_events
from edge_worker.frames.acks import Remedy
from edge_worker.frames.envelope import identity_in, is_envelope, usable_frame_id, utc_timestamp
from edge_worker.frames.frame import Frame, content_id
from edge_worker.frames.request import Request, may_reply_to, wishes
from edge_worker.mqtt import events

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from edge_worker.common.topics import Template
    from edge_worker.frames.queue import FrameQueue
    from edge_worker.mqtt.events import LinkEvent
    from edge_worker.mqtt.inbox import Inbox
    from edge_worker.mqtt.message import Incoming

_STALE_SUBSCRIPTION: Final = (
    "did an earlier configuration, with the same client id, subscribe to it? RabbitMQ makes a '.' in a topic a '/'"
)

_MAX_WARNED: Final = 1024
"""Cameras remembered as warned about, bounded because senders choose their names."""

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Route:
    """Frames whose topic matches ``template``, arriving by the link so named, belong to camera section ``source``.

    With a ``reply_prefix`` each is a request: its results go to the Response Topic it names, if that begins so.
    """

    link: str
    template: Template
    source: int
    reply_prefix: str | None = None


@dataclass(frozen=True, slots=True)
class Handlers:
    """Where events go.

    ``node`` takes the link and a message on a topic of nodes (command, status, answer) and says whether it was one;
    ``arrive`` takes a frame; ``published`` the end of every publication; ``link_changed`` every event about
    a link's condition; ``results_lost`` a frame whose results were given up, the reason of its error message, and the
    detail; ``fatal`` a defect.
    """

    frames: FrameQueue
    node: Callable[[str, Incoming], bool]
    arrive: Callable[[Frame], object]
    published: Callable[[events.Published], object]
    link_changed: Callable[[LinkEvent], None]
    results_lost: Callable[[Frame, str, str], None]
    fatal: Callable[[str, BaseException], None]


class Router:
    """Reads the inbox that all links report to."""

    def __init__(self, inbox: Inbox, routes: Sequence[Route], handlers: Handlers, max_payload: int) -> None:
        """*max_payload*: bytes; larger envelopes are not searched for a frame's identity."""
        self._inbox = inbox
        self._routes = routes
        self._handlers = handlers
        self._max_payload = max_payload
        self._warned_of_time: set[str] = set()
        self._thread = Thread(target=self._run, name="router", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self, timeout_s: float) -> None:
        """Handle what was reported so far, then end."""
        self._inbox.close()
        self._thread.join(timeout_s)

    def _run(self) -> None:
        try:
            while (event := self._inbox.get()) is not None:
                self._handle(event)
        except Exception as error:  # noqa: BLE001 - reported, and ends the worker
            self._handlers.fatal("router failed", error)

    def _handle(self, event: LinkEvent) -> None:
        if isinstance(event, events.Arrived):
            self._arrived(event)
        elif isinstance(event, events.Published):
            self._published(event)
        else:
            self._handlers.link_changed(event)

    def _published(self, event: events.Published) -> None:
        self._handlers.published(event)
        if event.ok:
            self._handlers.frames.published(event.publication)
            return
        loss = self._handlers.frames.failed(event.publication)
        _log.warning(
            log_events.PUBLICATION_GIVEN_UP, link=event.link, reason=event.reason, answers=loss and loss.frame.frame_id
        )
        if loss is None or loss.remedy is Remedy.NOTHING:
            return
        if loss.remedy is Remedy.UNANSWERED:
            frame = loss.frame
            _log.error(log_events.FRAME_UNANSWERED, camera=frame.camera, frame_id=frame.frame_id, problem=event.reason)
        elif loss.frame.delivery is None:
            self._handlers.frames.replied(loss.frame, ())  # the camera has newer ones
        else:
            self._handlers.results_lost(loss.frame, "too_big" if event.too_large else "refused", event.reason)

    def _arrived(self, event: events.Arrived) -> None:
        message = event.message
        if self._handlers.node(event.link, message):
            self._handlers.frames.dismiss(message.delivery)  # None, unless an `every` link is subscribed to it
            return
        for route in self._routes:
            camera = route.template.match(message.topic) if route.link == event.link else None
            if camera is not None:
                self._take(message, camera, route)
                return
        _log.warning(log_events.UNKNOWN_TOPIC, link=event.link, topic=message.topic, hint=_STALE_SUBSCRIPTION)
        self._handlers.frames.dismiss(message.delivery)

    def _take(self, message: Incoming, camera: str, route: Route) -> None:
        """Take a frame; a request without a place for its results is not parsed."""
        if route.reply_prefix is not None and not may_reply_to(message.response_topic, route.reply_prefix):
            _log.warning(
                log_events.REQUEST_WITHOUT_REPLY, topic=message.topic, response_topic=message.response_topic[:128]
            )
            self._handlers.frames.dismiss(message.delivery)
            return
        self._handlers.arrive(self._frame(message, camera, route))

    def _frame(self, message: Incoming, camera: str, route: Route) -> Frame:
        frame_id, captured_at = self._identity(message, camera)
        received_at = time.time() - (time.monotonic() - message.arrived)
        return Frame(
            camera=camera,
            payload=message.payload,
            frame_id=frame_id or content_id(camera, message.payload),
            sender_id=frame_id is not None,
            captured_at=captured_at,
            received_at=received_at,
            arrived=message.arrived,
            retained=message.retained,
            redelivered=message.redelivered,
            source=route.source,
            delivery=message.delivery,
            request=None if route.reply_prefix is None else _request(message),
        )

    def _identity(self, message: Incoming, camera: str) -> tuple[str | None, str | None]:
        """Frame id and time of capture as the sender gave them, in properties or envelope; None where it did not.

        The pipeline reports anything else that is wrong with an envelope when its turn comes.
        """
        frame_id = usable_frame_id(message.properties.get("frame-id"))
        stated: object = message.properties.get("captured-at")
        if is_envelope(message.payload):
            inside = identity_in(message.payload, self._max_payload)
            frame_id, stated = frame_id or inside[0], inside[1] if stated is None else stated
        return frame_id, None if stated is None else self._time(stated, camera)

    def _time(self, stated: object, camera: str) -> str | None:
        """A time of capture in UTC. One that cannot be read is ignored, and logged once for each camera."""
        try:
            return utc_timestamp(stated)
        except ValueError as error:
            if camera not in self._warned_of_time and len(self._warned_of_time) < _MAX_WARNED:
                self._warned_of_time.add(camera)
                _log.warning(log_events.TIME_IGNORED, camera=camera, problem=f"captured_at {error}")
            return None


def _request(message: Incoming) -> Request:
    """Read where the results of *message* go, until when they are wanted, and which."""
    outputs, masks, score_threshold = wishes(message.properties)
    return Request(
        topic=message.response_topic,
        correlation=message.correlation,
        expires=None if message.expiry_s is None else message.arrived + message.expiry_s,
        outputs=outputs,
        masks=masks,
        score_threshold=score_threshold,
    )
