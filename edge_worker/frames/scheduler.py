"""Scheduler: chooses the next frame and counts every frame. Pure: no locks, no clock, no I/O.

The caller holds one lock around every call and passes the monotonic time in.

Of the queues that are due, the least recently served is next.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from edge_worker.frames.account import Account
from edge_worker.frames.camera_controls import CameraControls
from edge_worker.frames.camera_queue import CameraPace, CameraQueue, Drop
from edge_worker.frames.counters import Tally

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from edge_worker.frames.camera_queue import Policy
    from edge_worker.frames.frame import Frame

_FRAME_BYTES: Final = 2048
"""Approximate memory of a waiting frame besides its payload, so that empty frames count, too."""


@dataclass(frozen=True, slots=True)
class Turn:
    """The next frame to work on, frames dropped as too old, and when to ask again.

    ``wait_s`` is None when nothing is due: only a new frame, a resume, a release or a new interval changes that.
    """

    frame: Frame | None
    dropped: tuple[Drop, ...] = ()
    wait_s: float | None = None


class Scheduler:
    """Schedules the frames of all cameras fairly and counts each exactly once."""

    def __init__(
        self, policies: Sequence[Policy], *, max_cameras: int = 1024, max_waiting_bytes: int = 256 << 20
    ) -> None:
        """*policies* are the configuration's cameras, in the order that ``Frame.source`` counts.

        Beyond *max_cameras*, idle ones are counted together as ``(other)``. Beyond *max_waiting_bytes*, the frame that
        has waited longest is dropped as superseded, unless it must be acknowledged.
        """
        self._policies = policies
        self._max_cameras, self._max_waiting_bytes = max_cameras, max_waiting_bytes
        self._queues: OrderedDict[tuple[int, str], CameraQueue] = OrderedDict()  # least recently served first
        self._other = Tally()
        self._waiting_bytes = 0
        self.controls = CameraControls(max_cameras)

    def set_policies(self, policies: Sequence[Policy]) -> None:
        """Replace the policies of the same camera sections; delivery modes must not change."""
        self._policies = policies
        for (source, _), queue in self._queues.items():
            queue.policy = policies[source]

    # -- frames in ----------------------------------------------------------------------------------------------

    def offer(self, frame: Frame, now: float) -> tuple[Drop, ...]:
        """Queue an arriving frame, or drop it; returns the dropped frames: this one, or others to make room for it."""
        queue = self._queue(frame)
        if queue is None:
            self._other.received += 1
            self._other.drop("superseded")
            return (Drop(frame, "superseded"),)
        queue.tally.received += 1
        reason = self._reason_not_to_wait(queue, frame)
        if reason:
            return (queue.drop(frame, reason),)
        dropped: tuple[Drop, ...] = ()
        if queue.latest:
            dropped = self._forget_bytes(
                queue.drop_waiting("superseded" if self._due_in(queue, now) <= 0 else "throttled")
            )
        queue.waiting.append(frame)
        self._waiting_bytes += _size(frame)
        return (*dropped, *self._make_room(frame))

    def duplicate(self, frame: Frame) -> None:
        """Count a duplicate; it is not counted as ``received``."""
        self._tally(frame).duplicates += 1

    def _reason_not_to_wait(self, queue: CameraQueue, frame: Frame) -> str:
        if not queue.latest:
            return ""  # every frame counts; brokers may set the retain flag on queued ones
        if frame.retained:
            return "retained"
        return "paused" if self._is_paused(queue) else ""

    def _forget_bytes(self, dropped: tuple[Drop, ...]) -> tuple[Drop, ...]:
        """Subtract frames that waited from the waiting bytes."""
        self._waiting_bytes -= sum(_size(drop.frame) for drop in dropped)
        return dropped

    def _make_room(self, newest: Frame) -> tuple[Drop, ...]:
        dropped: list[Drop] = []
        while self._waiting_bytes > self._max_waiting_bytes:
            expendable = ((queue, queue.expendable) for queue in self._queues.values())
            others = [(queue, frame) for queue, frame in expendable if frame is not None and frame is not newest]
            if not others:
                break
            queue, oldest = min(others, key=lambda pair: pair[1].arrived)
            queue.waiting.remove(oldest)
            dropped += self._forget_bytes((queue.drop(oldest, "superseded"),))
        return tuple(dropped)

    # -- frames out ---------------------------------------------------------------------------------------------

    def next(self, now: float, held: Collection[int] = ()) -> Turn:
        """Return the next frame to work on: of the due queue that was least recently served.

        Queues in ``latest`` mode of the camera sections *held* are skipped: their newest frame waits.
        """
        dropped: list[Drop] = []
        waits: list[float] = []
        for key, queue in self._queues.items():
            if not queue.waiting or self._is_paused(queue) or (queue.latest and key[0] in held):
                continue
            if (wait := self._due_in(queue, now)) > 0:
                waits.append(wait)
                continue
            dropped += self._forget_bytes(queue.drop_old(now))
            if queue.waiting:
                return Turn(self._hand_out(key, queue, now), tuple(dropped))
        return Turn(None, tuple(dropped), min(waits, default=None))

    def finish(self, frame: Frame, outcome: Literal["processed", "rejected"], reason: str = "") -> None:
        """Settle a frame handed out by :meth:`next`; *reason* is one of REJECTIONS when it was rejected."""
        queue = self._queue_in_work(frame)
        queue.in_work -= 1
        if outcome == "processed":
            queue.tally.processed += 1
        else:
            queue.tally.reject(reason)

    def requeue(self, frame: Frame) -> tuple[Drop, ...]:
        """Put a frame back at the front; with ``latest``, a frame that arrived meanwhile supersedes it."""
        queue = self._queue_in_work(frame)
        queue.in_work -= 1
        if queue.latest and (queue.waiting or self._is_paused(queue)):
            return (queue.drop(frame, "superseded" if queue.waiting else "paused"),)
        queue.waiting.appendleft(frame)
        queue.served_at = None
        self._queues.move_to_end((frame.source, frame.camera), last=False)
        self._waiting_bytes += _size(frame)
        return ()

    def withdraw(self, camera: str, frame_id: str, sources: Collection[int]) -> tuple[Drop, ...]:
        """Drop the frame of this identity if it waits in one of the camera sections *sources*: it was answered."""
        queues = [self._queues[key] for source in sources if (key := (source, camera)) in self._queues]
        found = [(queue, frame) for queue in queues for frame in queue.waiting if frame.frame_id == frame_id][:1]
        for queue, frame in found:
            queue.waiting.remove(frame)
        return self._forget_bytes(tuple(queue.drop(frame, "answered_elsewhere") for queue, frame in found))

    def drain(self, reason: str) -> tuple[Drop, ...]:
        """Drop every waiting frame."""
        return self._forget_bytes(tuple(drop for queue in self._queues.values() for drop in queue.drop_waiting(reason)))

    def _hand_out(self, key: tuple[int, str], queue: CameraQueue, now: float) -> Frame:
        frame = queue.waiting.popleft()
        self._waiting_bytes -= _size(frame)
        queue.in_work += 1
        queue.served_at = now
        self._queues.move_to_end(key)
        return frame

    # -- pauses and intervals -------------------------------------------------------------------------------------

    def pause(self, camera: str | None = None) -> tuple[Drop, ...]:
        """Hand out no more frames of *camera* (None: of all); waiting ``latest`` frames are dropped, ``every`` wait."""
        self.controls.pause(camera)
        paused = (queue for queue in self._queues.values() if queue.latest and self._is_paused(queue))
        return self._forget_bytes(tuple(drop for queue in paused for drop in queue.drop_waiting("paused")))

    def _is_paused(self, queue: CameraQueue) -> bool:
        return self.controls.is_paused(queue.camera)

    def _due_in(self, queue: CameraQueue, now: float) -> float:
        """Seconds until the queue may be served again; zero or less when it may now."""
        return 0.0 if queue.served_at is None else queue.served_at + self._interval_of(queue) - now

    def _interval_of(self, queue: CameraQueue) -> float:
        return self.controls.min_interval_s(queue.camera, queue.policy.min_interval_s)

    def paces(self) -> tuple[CameraPace, ...]:
        """Return the pace of each camera."""
        return tuple(
            CameraPace(source, camera, queue.tally.received, self._is_paused(queue), self._interval_of(queue))
            for (source, camera), queue in self._queues.items()
        )

    # -- accounts -------------------------------------------------------------------------------------------------

    def account(self, now: float) -> Account:
        """Return the counts at monotonic *now*."""
        return Account.of(self._queues.values(), self._other, now)

    def _tally(self, frame: Frame) -> Tally:
        queue = self._queue(frame)
        return self._other if queue is None else queue.tally

    def _queue(self, frame: Frame) -> CameraQueue | None:
        """Return the frame's queue, created if missing; None if all are busy and the frame may be dropped."""
        key = (frame.source, frame.camera)
        queue = self._queues.get(key)
        if queue is None:
            queue = CameraQueue(frame.camera, self._policies[frame.source])
            if not self._make_room_for_queue() and queue.may_drop(frame):
                return None
            self._queues[key] = queue
        return queue

    def _queue_in_work(self, frame: Frame) -> CameraQueue:
        queue = self._queues[(frame.source, frame.camera)]
        if not queue.in_work:
            raise ValueError(f"no frame of camera {frame.camera!r} is in work")
        return queue

    def _make_room_for_queue(self) -> bool:
        """Make room for another queue; False if all are busy."""
        if len(self._queues) < self._max_cameras:
            return True
        key = next((key for key, queue in self._queues.items() if queue.idle), None)
        if key is None:
            return False
        self._other.add(self._queues.pop(key).tally)
        return True


def _size(frame: Frame) -> int:
    return len(frame.payload) + _FRAME_BYTES
