"""Counts what came out: frames, persons, latency by stage."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from statistics import fmean
from typing import TYPE_CHECKING, Any

from edge_worker.common.percentiles import percentile

if TYPE_CHECKING:
    from collections.abc import Mapping

    from edge_worker.messages import ErrorMessage, LabelsMessage


@dataclass(frozen=True, slots=True)
class Spread:
    """Median and 95th percentile, milliseconds."""

    p50: float
    p95: float


class Tally:
    """Adds up results as they come."""

    def __init__(self) -> None:
        """Begin at nothing."""
        self.persons: list[int] = []
        self.cached = 0
        self.rejected: Counter[str] = Counter()
        self._timings: defaultdict[str, list[float]] = defaultdict(list)

    @property
    def frames(self) -> int:
        """Frames answered with labels."""
        return len(self.persons)

    def add(self, labels: LabelsMessage) -> None:
        """Count a frame; the stages of a cached one were not run again."""
        self.persons.append(len(labels.persons))
        self.cached += labels.cached
        if not labels.cached:
            for stage, milliseconds in labels.timings_ms.model_dump().items():
                self._timings[stage].append(milliseconds)

    def add_error(self, error: ErrorMessage) -> None:
        """Count a rejected frame."""
        self.rejected[error.reason] += 1

    def latency_ms(self) -> Mapping[str, Spread]:
        """Spread of each stage, in the order of the stages."""
        return {stage: _spread(values) for stage, values in self._timings.items()}

    def to_values(self) -> dict[str, Any]:
        """Everything as plain JSON values."""
        return {
            "frames": self.frames,
            "cached": self.cached,
            "rejected": dict(self.rejected),
            "persons": sum(self.persons),
            "persons_per_frame": round(fmean(self.persons), 2) if self.persons else 0.0,
            "latency_ms": {
                stage: {"p50": round(spread.p50, 1), "p95": round(spread.p95, 1)}
                for stage, spread in self.latency_ms().items()
            },
        }


def _spread(values: list[float]) -> Spread:
    return Spread(p50=percentile(values, 50), p95=percentile(values, 95))
