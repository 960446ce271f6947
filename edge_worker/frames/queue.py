"""The frame queue between the broker and the model: frames waiting, in work and unacknowledged, behind one lock.

The scheduler decides which frame is next and the acknowledgement tracker what may be acknowledged; both are pure. The
queue adds the lock, the clock and the waiting.
"""

from __future__ import annotations

import time
from threading import Condition
from typing import TYPE_CHECKING, Literal

from edge_worker.common.deadline import Deadline
from edge_worker.frames.acks import AckTracker, Verdict
from edge_worker.frames.held import HeldFrames
from edge_worker.frames.scheduler import Scheduler

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Sequence

    from edge_worker.frames.account import Account
    from edge_worker.frames.acks import Loss
    from edge_worker.frames.camera_queue import CameraPace, Drop, Policy
    from edge_worker.frames.frame import Delivery, Frame
    from edge_worker.frames.held import Claim

_SHUTTING_DOWN = "shutting_down"


class FrameQueue:
    """Queue between the router and the dispatchers. Thread-safe."""

    def __init__(
        self,
        policies: Sequence[Policy],
        acknowledge: Callable[[Delivery], object],
        has_room: Callable[[int], bool] = lambda _source: True,
    ) -> None:
        """*policies*: one per camera section.

        *acknowledge* is called with the lock held, so that a settled frame is always an acknowledged one. *has_room*,
        also called with the lock held, returns whether replies to a section's frames would soon be sent. Neither may
        block, raise or call back.
        """
        self._scheduler = Scheduler(policies)
        self._acks, self._held = AckTracker(), HeldFrames()
        self._split_sections: set[int] = set()
        self._acknowledge, self._has_room = acknowledge, has_room
        self._sections = range(len(policies))
        self._changed = Condition()
        self._closed = False

    def arrive(self, frame: Frame, claim: Claim | None = None) -> Verdict:
        """Queue an arriving frame unless it is a duplicate; returns whether it is.

        With a *claim*, every node of a group received the frame: it is held while it, or an older one of its camera, is
        not ours, and settled without a reply once :meth:`answered` reports that another node has replied.
        """
        with self._changed:
            verdict = self._acks.opened(frame)
            ours = claim is None or claim(time.monotonic())
            if verdict is not Verdict.NEW:
                if ours:
                    self._scheduler.duplicate(frame)
                if verdict is Verdict.DONE and frame.delivery is not None:
                    self._acknowledge(frame.delivery)
            elif claim is None:
                self._queue(frame)
            elif self._was_answered(frame, ours=ours):
                self._acknowledge_all(self._acks.replied(frame, ()))
            else:
                self._held.hold(frame, claim)
                self._claim_of(frame)  # in order: older ones of its camera that are ours go first
            if claim is not None:
                self._split_sections.add(frame.source)
            return verdict

    def answered(self, camera: str, frame_id: str) -> None:
        """Note that another node of the group has replied to a frame that this node receives as well, now or later."""
        with self._changed:
            if held := self._held.release(camera, frame_id):
                for frame in held:
                    self._acknowledge_all(self._acks.replied(frame, ()))
                    self._claim_of(frame)  # ours may have waited behind it
            elif waiting := self._scheduler.withdraw(camera, frame_id, self._split_sections):
                self._settle(waiting)
            elif not self._acks.is_open(camera, frame_id):
                self._held.remember(camera, frame_id)

    def held(self) -> int:
        """Return how many frames are held for other nodes of the group."""
        with self._changed:
            return len(self._held)

    def has_settled(self, link: str, until: float) -> bool:
        """Whether every frame that arrived by *link* until that monotonic time is answered, here or by another node."""
        with self._changed:
            return not self._acks.has_open(link, until)

    def claim_held(self) -> None:
        """Queue the held frames that have become ours because their owner is gone."""
        with self._changed:
            for frame in self._held.claim(time.monotonic()):
                self._queue(frame)

    def _claim_of(self, frame: Frame) -> None:
        """Queue the held frames of the camera of *frame* that have become ours. The lock is held."""
        for mine in self._held.claim_of(frame, time.monotonic()):
            self._queue(mine)

    def _was_answered(self, frame: Frame, *, ours: bool) -> bool:
        """Whether another node has replied to *frame*, or will without telling us. The lock is held.

        Equal images without ids of their own cannot be told apart: if one was settled here, this is taken for another.
        The broker sends us a retained frame because we subscribed; nodes that subscribed earlier had it before.
        """
        if frame.retained and not ours:
            return True
        ambiguous = ours and not frame.sender_id and self._acks.is_done(frame)
        return not ambiguous and self._held.was_answered(frame)

    def _queue(self, frame: Frame) -> None:
        self._settle(self._scheduler.offer(frame, time.monotonic()))
        self._drain_if_closed()
        self._changed.notify()

    def dismiss(self, delivery: Delivery | None) -> None:
        """Acknowledge a message that is not a frame: unacknowledged, it would block those behind it."""
        with self._changed:
            self._acknowledge_all(() if delivery is None else (delivery,))

    def take(self, timeout_s: float) -> Frame | None:
        """Take the next frame, waiting up to *timeout_s* seconds; None if there is none or the queue is closed."""
        deadline = Deadline(timeout_s)
        with self._changed:
            while not self._closed:
                turn = self._scheduler.next(time.monotonic(), self._blocked_sections())
                self._settle(turn.dropped)
                if turn.frame is not None or deadline.expired:
                    return turn.frame
                left = deadline.remaining()
                self._changed.wait(left if turn.wait_s is None else min(turn.wait_s, left))
        return None

    def _blocked_sections(self) -> frozenset[int]:
        """Return the camera sections whose live frames wait for earlier replies. The lock is held."""
        return frozenset(source for source in self._sections if not self._has_room(source))

    def replied(
        self, frame: Frame, publications: Collection[int], *, optional: Collection[int] = (), final: bool = False
    ) -> None:
        """Register *publications* as the reply to *frame*, before they are published; the latest call counts.

        If one is given up: *optional* ones can be left out, and a *final* reply has no replacement.
        """
        with self._changed:
            self._acknowledge_all(self._acks.replied(frame, publications, optional=optional, final=final))

    def published(self, publication: int) -> None:
        """Register that the broker acknowledged *publication*, and acknowledge the frames that this completes."""
        with self._changed:
            self._acknowledge_all(self._acks.published(publication))
            self._changed.notify_all()

    def failed(self, publication: int) -> Loss | None:
        """Register that *publication* was given up; returns the frame that lost a reply, and the remedy."""
        with self._changed:
            loss = self._acks.failed(publication)
            if loss is not None:
                self._acknowledge_all(loss.deliveries)
                self._changed.notify_all()
            return loss

    def finish(self, frame: Frame, outcome: Literal["processed", "rejected"], reason: str = "") -> None:
        """Count a frame taken as processed or rejected."""
        with self._changed:
            self._scheduler.finish(frame, outcome, reason)
            self._changed.notify()

    def requeue(self, frame: Frame) -> None:
        """Put a frame back at the front of its queue, because the model process ended while parsing it."""
        with self._changed:
            self._settle(self._scheduler.requeue(frame))
            self._drain_if_closed()
            self._changed.notify()

    def pause(self, camera: str | None) -> bool:
        """Hand out no more frames of *camera* (None: of any); False if too many cameras have settings of their own."""
        with self._changed:
            known = self._scheduler.controls.knows(camera)
            if known:
                self._settle(self._scheduler.pause(camera))
            return known

    def resume(self, camera: str | None) -> None:
        """End a pause of *camera* (None: every pause)."""
        with self._changed:
            self._scheduler.controls.resume(camera)
            self._changed.notify_all()

    def set_min_interval(self, camera: str | None, seconds: float | None) -> bool:
        """Hand out at most one frame of *camera* (None: of each) per *seconds*; None: as configured.

        False if too many cameras have settings of their own.
        """
        with self._changed:
            known = self._scheduler.controls.knows(camera)
            if known:
                self._scheduler.controls.set_min_interval(camera, seconds)
                self._changed.notify_all()
            return known

    def paces(self) -> tuple[bool, tuple[CameraPace, ...]]:
        """Return whether all cameras are paused, and the pace of each camera that has sent frames."""
        with self._changed:
            return self._scheduler.controls.all_paused, self._scheduler.paces()

    def close(self) -> None:
        """Hand out no more frames. Waiting frames are dropped; the broker keeps those that are not acknowledged."""
        with self._changed:
            self._closed = True
            self._drain_if_closed()
            self._changed.notify_all()

    def settle(self, deadline: Deadline) -> int:
        """Wait until the broker has acknowledged all replies; returns how many it has not."""
        with self._changed:
            self._changed.wait_for(lambda: not self._acks.awaited, deadline.remaining())
            return self._acks.awaited

    def set_policies(self, policies: Sequence[Policy]) -> None:
        """Replace the policies of the same camera sections."""
        with self._changed:
            self._scheduler.set_policies(policies)
            self._changed.notify_all()

    def account(self) -> Account:
        """Return the current counts."""
        with self._changed:
            return self._scheduler.account(time.monotonic())

    def _drain_if_closed(self) -> None:
        """Drop waiting frames after :meth:`close`, without telling the acknowledgement tracker. The lock is held."""
        if self._closed:
            self._scheduler.drain(_SHUTTING_DOWN)

    def _settle(self, drops: Iterable[Drop]) -> None:
        """Settle dropped frames with the acknowledgement tracker. The lock is held."""
        for drop in drops:
            self._acknowledge_all(self._acks.replied(drop.frame, ()))

    def _acknowledge_all(self, deliveries: Iterable[Delivery]) -> None:
        for delivery in deliveries:
            self._acknowledge(delivery)
