"""Frame counters: each frame is counted exactly once. Pure."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from edge_worker.frames.frame import DROPS, REJECTIONS

if TYPE_CHECKING:
    from collections.abc import Mapping

OTHER: Final = "(other)"
"""Under this name stand the cameras that were folded away because there are too many."""


@dataclass(frozen=True, slots=True)
class Count:
    """``received == processed + Σ rejected + Σ dropped + waiting + in_work``, always; duplicates stand apart.

    ``oldest_waiting_s`` is the age of the waiting frame that is next in line, 0 where none waits.
    """

    received: int = 0
    processed: int = 0
    rejected: Mapping[str, int] = field(default_factory=dict)
    dropped: Mapping[str, int] = field(default_factory=dict)
    waiting: int = 0
    in_work: int = 0
    duplicates: int = 0
    oldest_waiting_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Account:
    """The counts of all frames, in total and camera by camera (the ones folded away under :data:`OTHER`)."""

    total: Count
    cameras: Mapping[str, Count]


@dataclass(slots=True)
class Tally:
    """The growing half of a :class:`Count`."""

    received: int = 0
    processed: int = 0
    rejected: Counter[str] = field(default_factory=Counter)
    dropped: Counter[str] = field(default_factory=Counter)
    duplicates: int = 0

    def reject(self, reason: str) -> None:
        """Count a rejection. Raises ValueError for a word that is none of REJECTIONS."""
        self.rejected[_known(reason, REJECTIONS)] += 1

    def drop(self, reason: str) -> None:
        """Count a drop. Raises ValueError for a word that is none of DROPS."""
        self.dropped[_known(reason, DROPS)] += 1

    def add(self, other: Tally) -> None:
        """Add *other* to this one."""
        self.received += other.received
        self.processed += other.processed
        self.rejected.update(other.rejected)
        self.dropped.update(other.dropped)
        self.duplicates += other.duplicates

    def count(self, *, waiting: int, in_work: int, oldest_waiting_s: float) -> Count:
        """Complete the tally with the frames not settled yet."""
        return Count(
            received=self.received,
            processed=self.processed,
            rejected=dict(self.rejected),
            dropped=dict(self.dropped),
            waiting=waiting,
            in_work=in_work,
            duplicates=self.duplicates,
            oldest_waiting_s=oldest_waiting_s,
        )


class LateCameras:
    """Notices cameras whose frames are dropped as too old, all of them. Not safe across threads.

    Their clock, or ours, may be wrong: a camera that tells when it took an image then gets no reply, and no error.
    """

    def __init__(self) -> None:
        """Begin with the first account."""
        self._counts: Mapping[str, Count] = {}
        self._late: frozenset[str] = frozenset()

    def news(self, counts: Mapping[str, Count]) -> tuple[str, ...]:
        """Name the cameras of which, by *counts*, frames were too old since the last call and none got a reply.

        Each once, until a frame of it got a reply.
        """
        late = frozenset(name for name, count in counts.items() if self._is_late(name, count))
        news = late - self._late
        self._counts, self._late = counts, late
        return tuple(sorted(news))

    def _is_late(self, name: str, now: Count) -> bool:
        before = self._counts.get(name, Count())
        if now.processed > before.processed or now.rejected != before.rejected:
            return False
        return name in self._late or now.dropped.get("too_old", 0) > before.dropped.get("too_old", 0)


def _known(reason: str, words: frozenset[str]) -> str:
    if reason not in words:
        raise ValueError(f"{reason!r} is none of {', '.join(sorted(words))}")
    return reason
