"""Frame counters: each frame is counted exactly once. Pure."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from edge_worker.frames.frame import DROPS, REJECTIONS

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class Count:
    """Counts; always ``received == processed + Σ rejected + Σ dropped + waiting + in_work``, without duplicates.

    ``oldest_waiting_s`` is the age of the next frame in line, in seconds; 0 if none waits.
    """

    received: int = 0
    processed: int = 0
    rejected: Mapping[str, int] = field(default_factory=dict)
    dropped: Mapping[str, int] = field(default_factory=dict)
    waiting: int = 0
    in_work: int = 0
    duplicates: int = 0
    oldest_waiting_s: float = 0.0


@dataclass(slots=True)
class Tally:
    """The counts of settled frames, and of duplicates."""

    received: int = 0
    processed: int = 0
    rejected: Counter[str] = field(default_factory=Counter)
    dropped: Counter[str] = field(default_factory=Counter)
    duplicates: int = 0

    def reject(self, reason: str) -> None:
        """Count a rejection. Raises ValueError for a reason that is not in REJECTIONS."""
        self.rejected[_known(reason, REJECTIONS)] += 1

    def drop(self, reason: str) -> None:
        """Count a drop. Raises ValueError for a reason that is not in DROPS."""
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
    """Detects cameras all of whose frames are dropped as too old. Not thread-safe.

    Their clock, or ours, may be wrong; such a camera gets neither replies nor errors.
    """

    def __init__(self) -> None:
        """Start without counts."""
        self._counts: Mapping[str, Count] = {}
        self._late: frozenset[str] = frozenset()

    def newly_late(self, counts: Mapping[str, Count]) -> tuple[str, ...]:
        """Return the cameras whose frames since the last call were dropped as too old, with none answered.

        Each is returned once, until one of its frames is answered.
        """
        late = frozenset(name for name, count in counts.items() if self._is_late(name, count))
        newly_late = late - self._late
        self._counts, self._late = counts, late
        return tuple(sorted(newly_late))

    def _is_late(self, name: str, now: Count) -> bool:
        before = self._counts.get(name, Count())
        if now.processed > before.processed or now.rejected != before.rejected:
            return False
        return name in self._late or now.dropped.get("too_old", 0) > before.dropped.get("too_old", 0)


def _known(reason: str, words: frozenset[str]) -> str:
    if reason not in words:
        raise ValueError(f"{reason!r} is none of {', '.join(sorted(words))}")
    return reason
