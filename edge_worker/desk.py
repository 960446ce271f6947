"""The desk between the broker and the model: frames waiting, in work and unacknowledged, behind one lock.

The intake decides whose turn it is and the ledger what may be acknowledged; both are pure. The desk adds what they
leave out: the lock, the clock, and the waiting.
"""

from __future__ import annotations

import time
from threading import Condition
from typing import TYPE_CHECKING, Literal

from edge_worker.intake import Intake
from edge_worker.ledger import AckLedger, Verdict
from edge_worker.lifecycle import Deadline

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Sequence

    from edge_worker.accounts import Account
    from edge_worker.frames import Delivery, Frame
    from edge_worker.lanes import Drop, Policy
    from edge_worker.ledger import Loss

_SHUTTING_DOWN = "shutting_down"


class Desk:
    """Where the router lays frames down and the dispatchers pick them up. Safe to call from any thread."""

    def __init__(
        self,
        policies: Sequence[Policy],
        acknowledge: Callable[[Delivery], object],
        has_room: Callable[[int], bool] = lambda _source: True,
    ) -> None:
        """Hold one policy per camera section.

        *acknowledge* is called with the lock held, so that a frame settled is a frame acknowledged for whoever looks;
        *has_room* as well, to ask whether answers to a section's frames would soon be sent. Neither may wait, raise or
        call back.
        """
        self._intake = Intake(policies)
        self._ledger = AckLedger()
        self._acknowledge, self._has_room = acknowledge, has_room
        self._sections = range(len(policies))
        self._changed = Condition()
        self._closed = False

    def arrive(self, frame: Frame) -> None:
        """Lay down a frame that just arrived, unless it is known already."""
        with self._changed:
            verdict = self._ledger.opened(frame)
            if verdict is Verdict.NEW:
                self._settle(self._intake.offer(frame, time.monotonic()))
                self._drain_if_closed()
                self._changed.notify()
                return
            self._intake.duplicate(frame)
            if verdict is Verdict.DONE and frame.delivery is not None:
                self._acknowledge(frame.delivery)

    def dismiss(self, delivery: Delivery | None) -> None:
        """Acknowledge a message that is no frame of ours: left alone, it would keep back those behind it."""
        with self._changed:
            self._acknowledge_all(() if delivery is None else (delivery,))

    def take(self, timeout_s: float) -> Frame | None:
        """Pick up the next frame, waiting up to *timeout_s* seconds; None if there is none or the desk is closed."""
        deadline = Deadline(timeout_s)
        with self._changed:
            while not self._closed:
                turn = self._intake.next(time.monotonic(), self._held())
                self._settle(turn.dropped)
                if turn.frame is not None or deadline.expired:
                    return turn.frame
                left = deadline.remaining()
                self._changed.wait(left if turn.wait_s is None else min(turn.wait_s, left))
        return None

    def _held(self) -> frozenset[int]:
        """The camera sections whose live frames wait, since results would only grow old. The lock is held."""
        return frozenset(source for source in self._sections if not self._has_room(source))

    def answered(
        self, frame: Frame, publications: Collection[int], *, spare: int | None = None, final: bool = False
    ) -> None:
        """Say which *publications* answer *frame*, before they are published; again to replace what was said.

        Should one be given up: the *spare* one is missed by nobody, and for a *final* answer there is no other.
        """
        with self._changed:
            self._acknowledge_all(self._ledger.answered(frame, publications, spare=spare, final=final))

    def published(self, publication: int) -> None:
        """Note that the broker has *publication*, and acknowledge the frames this completes."""
        with self._changed:
            self._acknowledge_all(self._ledger.published(publication))
            self._changed.notify_all()

    def failed(self, publication: int) -> Loss | None:
        """Note that *publication* was given up; returns the frame that lost an answer, and what is to be done."""
        with self._changed:
            loss = self._ledger.failed(publication)
            if loss is not None:
                self._acknowledge_all(loss.deliveries)
                self._changed.notify_all()
            return loss

    def finish(self, frame: Frame, outcome: Literal["processed", "rejected"], reason: str = "") -> None:
        """Count a frame picked up as answered."""
        with self._changed:
            self._intake.finish(frame, outcome, reason)
            self._changed.notify()

    def release(self, frame: Frame) -> None:
        """Lay a frame back, first in line: the model process ended under it."""
        with self._changed:
            self._settle(self._intake.release(frame))
            self._drain_if_closed()
            self._changed.notify()

    def pause(self, camera: str | None) -> bool:
        """Hand out no more frames of *camera* (None: of any); False when too many cameras have orders of their own."""
        with self._changed:
            known = self._intake.knows(camera)
            if known:
                self._settle(self._intake.pause(camera))
            return known

    def resume(self, camera: str | None) -> None:
        """End a pause of *camera* (None: every pause)."""
        with self._changed:
            self._intake.resume(camera)
            self._changed.notify_all()

    def set_min_interval(self, camera: str | None, seconds: float | None) -> bool:
        """Hand out a frame of *camera* (None: of each) every *seconds* at most; None: as configured.

        False when too many cameras have orders of their own.
        """
        with self._changed:
            known = self._intake.knows(camera)
            if known:
                self._intake.set_min_interval(camera, seconds)
                self._changed.notify_all()
            return known

    def close(self) -> None:
        """Hand out no more frames. What waits is dropped; the broker keeps what it was not told is done."""
        with self._changed:
            self._closed = True
            self._drain_if_closed()
            self._changed.notify_all()

    def settle(self, deadline: Deadline) -> int:
        """Wait until the broker has all answers published, and with them the acknowledgements; returns how many not."""
        with self._changed:
            self._changed.wait_for(lambda: not self._ledger.awaited, deadline.remaining())
            return self._ledger.awaited

    def set_policies(self, policies: Sequence[Policy]) -> None:
        """Go on with other policies for the same camera sections."""
        with self._changed:
            self._intake.set_policies(policies)
            self._changed.notify_all()

    def account(self) -> Account:
        """Give the present counts."""
        with self._changed:
            return self._intake.account()

    def _drain_if_closed(self) -> None:
        """Drop what waits where nobody will take it; the ledger is not told. The lock is held."""
        if self._closed:
            self._intake.drain(_SHUTTING_DOWN)

    def _settle(self, drops: Iterable[Drop]) -> None:
        """Settle dropped frames with the ledger. The lock is held."""
        for drop in drops:
            self._acknowledge_all(self._ledger.answered(drop.frame, ()))

    def _acknowledge_all(self, deliveries: Iterable[Delivery]) -> None:
        for delivery in deliveries:
            self._acknowledge(delivery)
