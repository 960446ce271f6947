"""The dispatchers: next frame → model process → publish → acknowledge. They turn errors into replies.

One thread per model process, which it owns: no other starts it, gives it frames or ends it. An expected error is the
reply to its frame and no more; an unknown one ends the worker, because a dispatcher that died silently would look like
a camera that sends nothing.
"""

from __future__ import annotations

import hashlib
import time
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from threading import Event, Thread
from typing import TYPE_CHECKING

import structlog

from edge_worker.common import log_events
from edge_worker.common.deadline import Deadline
from edge_worker.common.errors import ConfigError, FrameRejected, ModelProcessError, ResultTooLarge
from edge_worker.inference.outputs import KINDS
from edge_worker.service.replies import Now, Parsed, Reply, fitting, left_out, timings_ms

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from edge_worker.frames.frame import Frame
    from edge_worker.frames.queue import FrameQueue
    from edge_worker.inference.outputs import ImageRequest
    from edge_worker.inference.types import OutputRequest
    from edge_worker.mqtt.message import Outgoing
    from edge_worker.mqtt.size_limit import PacketLimit
    from edge_worker.pool import ModelPool
    from edge_worker.service.overrides import Overrides
    from edge_worker.service.replies import ReplyBuilder
    from edge_worker.service.result_cache import ResultCache
    from edge_worker.service.section_outputs import SectionOutputs

_TAKE_TIMEOUT_S = 0.5  # a dispatcher waits for a frame, then checks its process and whether it should stop
_KILL_TIMEOUT_S = 2.0  # between killing the processes at the end of a stop and leaving them behind
_HEADER_BYTES = 4096  # more than the topic and properties of a reply take up in a packet

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Outlets:
    """Where a dispatcher's work goes.

    ``publish`` hands a reply to a frame to the link the frame came by, and ``packet_limit`` says how large a
    packet for a topic is taken there; ``observe`` takes the stage times and the age of a processed frame, both in
    milliseconds; ``fatal`` takes a defect that ended a dispatcher, ``misconfigured`` a setting with which the model
    cannot run.
    """

    publish: Callable[[Frame, Outgoing], object]
    packet_limit: Callable[[Frame, str], PacketLimit]
    observe: Callable[[dict[str, float], float], None]
    fatal: Callable[[str, BaseException], None]
    misconfigured: Callable[[ConfigError], None]


class Dispatchers:
    """Dispatchers for all model processes of a pool."""

    def __init__(
        self,
        *,
        frame_queue: FrameQueue,
        pool: ModelPool,
        cache: ResultCache,
        overrides: Overrides,
        max_payload_bytes: int,
        outlets: Outlets,
    ) -> None:
        """Prepare; ``sections`` must be set before :meth:`start`."""
        self._frame_queue, self._pool, self._cache, self._overrides = frame_queue, pool, cache, overrides
        self._max_payload_bytes = max_payload_bytes
        self._outlets = outlets
        self._stopping = Event()
        self._threads: list[Thread] = []
        self.sections: Sequence[SectionOutputs] = ()
        """By camera section; replaced as a whole when the configuration is loaded again."""

    def start(self) -> None:
        """Start a dispatcher for each slot of the pool."""
        self._threads = [
            Thread(target=self._run, args=(slot,), name=f"dispatcher-{slot}", daemon=True)
            for slot in range(self._pool.slots)
        ]
        for thread in self._threads:
            thread.start()

    def stop(self, deadline: Deadline) -> bool:
        """Take no more frames, and let those in work get their replies while *deadline* lasts; False if some did not.

        Model processes end with their dispatchers.
        """
        self._stopping.set()
        self._pool.ask_stop()
        for thread in self._threads:
            thread.join(deadline.remaining())
        return not any(thread.is_alive() for thread in self._threads)

    def kill(self) -> None:
        """After :meth:`stop`, end the model processes that are still at work.

        One that the kernel does not let go is left behind: it ends with the worker.
        """
        self._pool.kill()
        self.stop(Deadline(_KILL_TIMEOUT_S))
        self._pool.close()

    def _run(self, slot: int) -> None:
        try:
            while not self._stopping.is_set():
                self._serve(slot)
        except ConfigError as error:
            self._outlets.misconfigured(error)
        except Exception as error:  # noqa: BLE001 - reported, and ends the worker
            self._outlets.fatal(f"dispatcher {slot} failed", error)
        finally:
            self._pool.end(slot)

    def _serve(self, slot: int) -> None:
        if not self._pool.make_ready(slot):
            return
        frame = self._frame_queue.take(_TAKE_TIMEOUT_S)
        if frame is None:
            return
        section = self.sections[frame.source]  # a reload, which replaces it, is for the next frame
        snapshot = self._overrides.claim_snapshot(frame.camera)  # so that no other dispatcher makes one, too
        try:
            request = self._limited(frame, section.builder, section.wanted(frame, self._overrides, snapshot=snapshot))
            self._reply(frame, section.builder, request, self._parse(slot, frame, request))
        except (FrameRejected, ModelProcessError) as problem:
            if snapshot:
                self._overrides.snapshot(frame.camera)
            self._handle_failure(frame, problem)

    def _handle_failure(self, frame: Frame, problem: FrameRejected | ModelProcessError) -> None:
        """Reply to *frame*, which has no result, with an error, or requeue it where another process may have one."""
        if isinstance(problem, FrameRejected):
            self._reject(frame, problem)
            return
        _log.warning(log_events.FRAME_REQUEUED, camera=frame.camera, frame_id=frame.frame_id, problem=str(problem))
        self._frame_queue.requeue(frame)

    def _parse(self, slot: int, frame: Frame, request: OutputRequest) -> Parsed:
        taken = time.monotonic()
        size = len(frame.payload)
        if size > self._max_payload_bytes:
            raise FrameRejected("too_big", f"{size} bytes; at most {self._max_payload_bytes} are accepted")
        digest = hashlib.sha256(frame.payload).hexdigest()
        model = self._pool.model()
        result = self._cache.get((digest, request, model))
        if result is not None:
            return Parsed(result, model.name, taken, cached=True)
        computed = self._pool.run(slot, frame.payload, digest, request)
        self._cache.put((digest, request, computed.model), computed.result)
        return Parsed(computed.result, computed.model.name, taken, cached=False)

    def _limited(self, frame: Frame, builder: ReplyBuilder, request: OutputRequest) -> OutputRequest:
        """Bound the sizes of images to what fits through the frame's link."""
        return replace(request, images=tuple(self._limited_image(frame, builder, image) for image in request.images))

    def _limited_image(self, frame: Frame, builder: ReplyBuilder, image: ImageRequest) -> ImageRequest:
        """Bound the size of an image that is made smaller until it fits."""
        if KINDS[image.kind].required:
            return image
        limit = self._outlets.packet_limit(frame, builder.topic(image.kind, frame)).bytes
        return replace(image, max_bytes=max(0, limit - _HEADER_BYTES))

    def _reply(self, frame: Frame, builder: ReplyBuilder, request: OutputRequest, parsed: Parsed) -> None:
        now = Now.read()
        replies = fitting(builder.results(frame, parsed, now), partial(self._outlets.packet_limit, frame))
        self._publish(frame, (*replies, *builder.answered(frame, replies)))
        self._frame_queue.finish(frame, "processed")
        for kind in left_out(request, parsed, replies):
            limit = self._outlets.packet_limit(frame, builder.topic(kind, frame)).bytes
            _log.warning(
                log_events.OUTPUT_LEFT_OUT, kind=kind, camera=frame.camera, frame_id=frame.frame_id, max_packet=limit
            )
        timings, age_ms = timings_ms(frame, parsed, now), 1000 * frame.age_s(now.monotonic_s)
        self._outlets.observe(timings, age_ms)
        _log.info(
            log_events.FRAME,
            camera=frame.camera,
            frame_id=frame.frame_id,
            persons=len(parsed.result.body.get("persons", ())),
            cached=parsed.cached,
            redelivered=frame.redelivered,
            age_ms=round(age_ms),
            **timings,
        )

    def _reject(self, frame: Frame, rejection: FrameRejected) -> None:
        self._publish_error(frame, rejection)
        self._frame_queue.finish(frame, "rejected", rejection.reason)
        _log.info(
            log_events.FRAME_REJECTED,
            camera=frame.camera,
            frame_id=frame.frame_id,
            reason=rejection.reason,
            detail=rejection.detail,
            bytes=len(frame.payload),
        )

    def results_lost(self, frame: Frame, reason: str, problem: str) -> None:
        """Reply to *frame* with an error for *reason*, its results having been given up because of *problem*."""
        self._publish_error(frame, FrameRejected(reason, f"the results could not be delivered: {problem}"))

    def announce(self, frame: Frame) -> None:
        """Tell the other nodes of a group that they may let *frame* go; without a group, nothing."""
        for reply in self.sections[frame.source].builder.answered(frame):
            with suppress(ResultTooLarge):  # then they answer it themselves eventually
                self._outlets.publish(frame, reply.message)

    def _publish_error(self, frame: Frame, rejection: FrameRejected) -> None:
        builder = self.sections[frame.source].builder
        replies = (Reply("error", builder.error(frame, rejection, Now.read()), required=True),)
        try:
            self._publish(frame, (*replies, *builder.answered(frame, replies)), final=True)
        except FrameRejected as problem:  # kept, the frame would stop its camera for ever
            _log.error(
                log_events.FRAME_UNANSWERED, camera=frame.camera, frame_id=frame.frame_id, problem=problem.detail
            )
            self._frame_queue.replied(frame, ())
            self.announce(frame)

    def _publish(self, frame: Frame, replies: Sequence[Reply], *, final: bool = False) -> None:
        """Publish the reply to *frame*; the *final* one is not replaced by an error when it cannot be delivered.

        Raises:
            FrameRejected: ``too_big`` or ``refused``; the broker takes less than when it was asked, or next to nothing.
        """
        optional = [reply.message.publication for reply in replies if not reply.required]
        numbers = [reply.message.publication for reply in replies]
        self._frame_queue.replied(frame, numbers, optional=optional, final=final)
        try:
            for reply in replies:
                self._outlets.publish(frame, reply.message)
        except ResultTooLarge as error:
            raise FrameRejected(error.reason, str(error)) from error
