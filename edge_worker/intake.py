"""Which frame is next: slots, queues, turns and exact accounting. Pure: no locks, no clock, no I/O.

The caller holds one lock around every call and passes the monotonic time in.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from edge_worker.frames import Frame


class Policy(Protocol):
    """What the intake reads of a camera's section of the configuration (``CameraConfig`` is one)."""

    @property
    def delivery(self) -> Literal["latest", "every"]: ...  # noqa: D102
    @property
    def max_age_s(self) -> float | None: ...  # noqa: D102
    @property
    def min_interval_s(self) -> float: ...  # noqa: D102


@dataclass(frozen=True, slots=True)
class Drop:
    """A frame that will not be answered, and why (one of :data:`edge_worker.frames.DROPS`)."""

    frame: Frame
    reason: str


@dataclass(frozen=True, slots=True)
class Offer:
    """What an arriving frame led to: whether it waits now, and which frames (itself included) were dropped."""

    accepted: bool
    dropped: tuple[Drop, ...] = ()


@dataclass(frozen=True, slots=True)
class Turn:
    """The next frame to work on, the frames found too old on the way, and when to ask again.

    ``wait_s`` is None when nothing is due: only a new frame, a resume or a release changes that.
    """

    frame: Frame | None
    dropped: tuple[Drop, ...] = ()
    wait_s: float | None = None


@dataclass(frozen=True, slots=True)
class Count:
    """``received == processed + Σ rejected + Σ dropped + waiting + in_work``, always; duplicates stand apart."""

    received: int = 0
    processed: int = 0
    rejected: Mapping[str, int] = field(default_factory=dict)
    dropped: Mapping[str, int] = field(default_factory=dict)
    waiting: int = 0
    in_work: int = 0
    duplicates: int = 0


@dataclass(frozen=True, slots=True)
class Account:
    """The counts of all frames, in total and camera by camera (the ones folded away under ``(other)``)."""

    total: Count
    cameras: Mapping[str, Count]


class Intake:
    """Takes frames of all cameras, hands them out in fair turns, and counts every one exactly once."""

    def __init__(
        self, policies: Sequence[Policy], *, max_cameras: int = 1024, max_waiting_bytes: int = 256 << 20
    ) -> None:
        """*policies* are the configuration's cameras, in the order that ``Frame.source`` counts."""

    def offer(self, frame: Frame, now: float) -> Offer:
        """Take an arriving frame in, or drop it."""
        raise NotImplementedError

    def reject(self, frame: Frame, reason: str) -> None:
        """Count an arriving frame that is rejected before it ever waits (too big, malformed envelope)."""
        raise NotImplementedError

    def duplicate(self, frame: Frame) -> None:
        """Count an arriving frame that was known already; it is no part of ``received``."""
        raise NotImplementedError

    def next(self, now: float) -> Turn:
        """Give the next frame to work on: the due camera that was served longest ago."""
        raise NotImplementedError

    def finish(self, frame: Frame, outcome: Literal["processed", "rejected"], reason: str = "") -> None:
        """Settle a frame handed out by :meth:`next`; *reason* is one of REJECTIONS when it was rejected."""
        raise NotImplementedError

    def release(self, frame: Frame) -> tuple[Drop, ...]:
        """Put a frame handed out back to the front; a newer one of a ``latest`` camera supersedes it (then: dropped)."""
        raise NotImplementedError

    def pause(self, camera: str | None = None) -> tuple[Drop, ...]:
        """Hand out no more frames of *camera* (None: of all); waiting ``latest`` frames are dropped, ``every`` wait."""
        raise NotImplementedError

    def resume(self, camera: str | None = None) -> None:
        """End a pause of *camera* (None: every pause)."""
        raise NotImplementedError

    def set_min_interval(self, camera: str | None, seconds: float | None) -> None:
        """Throttle *camera* (None: all) to a frame each *seconds*; None goes back to the configuration's."""
        raise NotImplementedError

    def drain(self, reason: str) -> tuple[Drop, ...]:
        """Drop every waiting frame."""
        raise NotImplementedError

    def account(self) -> Account:
        """Give the present counts."""
        raise NotImplementedError
