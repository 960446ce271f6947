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
    """The part of a camera section that the scheduler uses (``CameraConfig`` has it)."""

    @property
    def delivery(self) -> Literal["latest", "every"]: ...  # noqa: D102 - named by the configuration
    @property
    def max_age_s(self) -> float | None: ...  # noqa: D102
    @property
    def min_interval_s(self) -> float: ...  # noqa: D102


@dataclass(frozen=True, slots=True)
class Drop:
    """A frame that gets no reply, and why (one of :data:`edge_worker.frames.frame.DROPS`).

    A frame of an ``every`` camera is dropped for its age (if configured), for lack of memory (if it came in QoS 0), and
    by ``Scheduler.drain``. The last must not be acknowledged: the broker keeps it for the next start.
    """

    frame: Frame
    reason: str


@dataclass(frozen=True, slots=True)
class CameraPace:
    """Frames received from a camera by section ``source`` of the configuration, and the pace at which it is served."""

    source: int
    camera: str
    received: int
    paused: bool
    min_interval_s: float


@dataclass(slots=True)
class CameraQueue:
    """The frames of one camera from one subscription."""

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
        """Whether the queue holds no frame, waiting or in work."""
        return not self.waiting and not self.in_work

    def oldest_s(self, now: float) -> float:
        """Return the age of the next frame in seconds at monotonic *now*; 0 if none waits."""
        return max(0.0, round(self.waiting[0].age_s(now), 3)) if self.waiting else 0.0

    @property
    def expendable(self) -> Frame | None:
        """The frame to drop first if memory is short; with ``every`` only one of QoS 0."""
        return next((frame for frame in self.waiting if self.may_drop(frame)), None)

    def may_drop(self, frame: Frame) -> bool:
        """Whether *frame* may be dropped for others: it need not be acknowledged."""
        return self.latest or frame.delivery is None

    def drop(self, frame: Frame, reason: str) -> Drop:
        """Count *frame*, which is not in the queue, as dropped."""
        self.tally.drop(reason)
        return Drop(frame, reason)

    def drop_waiting(self, reason: str) -> tuple[Drop, ...]:
        """Empty the queue."""
        dropped = tuple(self.drop(frame, reason) for frame in self.waiting)
        self.waiting.clear()
        return dropped

    def drop_old(self, now: float) -> tuple[Drop, ...]:
        """Drop waiting frames that are too old or whose request has expired, up to the first that is neither."""
        dropped: list[Drop] = []
        while self.waiting and self._is_old(self.waiting[0], now):
            dropped.append(self.drop(self.waiting.popleft(), "too_old"))
        return tuple(dropped)

    def _is_old(self, frame: Frame, now: float) -> bool:
        limit = self.policy.max_age_s
        return frame.is_expired(now) or (limit is not None and frame.age_s(now) > limit)
