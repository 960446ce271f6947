"""The queue of one camera. Pure.

``latest`` is a drop-oldest queue of one. ``every`` is a FIFO, bounded by the Receive Maximum, or for QoS 0 by the
scheduler's memory budget.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, Protocol

from edge_worker.frames.counters import Tally

if TYPE_CHECKING:
    from edge_worker.frames.frame import Frame


class Policy(Protocol):
    """What the scheduler reads of a camera's section of the configuration (``CameraConfig`` is one)."""

    @property
    def delivery(self) -> Literal["latest", "every"]: ...  # noqa: D102 - named by the configuration
    @property
    def max_age_s(self) -> float | None: ...  # noqa: D102
    @property
    def min_interval_s(self) -> float: ...  # noqa: D102


@dataclass(frozen=True, slots=True)
class Drop:
    """A frame that gets no reply, and why (one of :data:`edge_worker.frames.frame.DROPS`).

    A frame of an ``every`` camera is dropped for age, where the configuration asks for that, for lack of memory, if it
    came in QoS 0, and by ``Scheduler.drain``. The last must not be acknowledged: the broker keeps it for the next
    start.
    """

    frame: Frame
    reason: str


@dataclass(slots=True)
class CameraQueue:
    """The frames of one camera as one subscription delivers them."""

    camera: str
    policy: Policy
    waiting: deque[Frame] = field(default_factory=deque)
    in_work: int = 0
    served_at: float | None = None
    tally: Tally = field(default_factory=Tally)

    @property
    def latest(self) -> bool:
        """Whether a newer frame replaces the waiting one."""
        return self.policy.delivery == "latest"

    @property
    def idle(self) -> bool:
        """Whether the queue could be forgotten without losing sight of a frame."""
        return not self.waiting and not self.in_work

    def oldest_s(self, now: float) -> float:
        """Age of the frame next in line at monotonic *now*, seconds; 0 where none waits."""
        return max(0.0, round(self.waiting[0].age_s(now), 3)) if self.waiting else 0.0

    @property
    def expendable(self) -> Frame | None:
        """The frame to drop first where memory is short; of ``every``, only one that was sent without a promise."""
        return next((frame for frame in self.waiting if self.may_drop(frame)), None)

    def may_drop(self, frame: Frame) -> bool:
        """Whether *frame* can be dropped for others: nothing was promised."""
        return self.latest or frame.delivery is None

    def drop(self, frame: Frame, reason: str) -> Drop:
        """Count *frame*, which does not wait here, as dropped."""
        self.tally.drop(reason)
        return Drop(frame, reason)

    def drop_waiting(self, reason: str) -> tuple[Drop, ...]:
        """Empty the queue."""
        dropped = tuple(self.drop(frame, reason) for frame in self.waiting)
        self.waiting.clear()
        return dropped

    def drop_old(self, now: float) -> tuple[Drop, ...]:
        """Drop waiting frames that are past the configured age or that nobody wants now, up to the first other."""
        dropped: list[Drop] = []
        while self.waiting and self._is_old(self.waiting[0], now):
            dropped.append(self.drop(self.waiting.popleft(), "too_old"))
        return tuple(dropped)

    def _is_old(self, frame: Frame, now: float) -> bool:
        limit = self.policy.max_age_s
        return frame.is_expired(now) or (limit is not None and frame.age_s(now) > limit)
