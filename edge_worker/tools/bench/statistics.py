"""Median and spread of repeated measurements."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING

from edge_worker.common.percentiles import percentile

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


@dataclass(frozen=True, slots=True)
class Summary:
    """Repeated measurements of one quantity: median, lower and upper quartile, minimum, and number."""

    median: float
    low: float
    high: float
    best: float
    count: int

    @classmethod
    def of(cls, values: Sequence[float]) -> Summary:
        """Summarise *values*, at least one."""
        return cls(median(values), percentile(values, 25), percentile(values, 75), min(values), len(values))


def by_stage(frames: Sequence[Mapping[str, float]]) -> dict[str, Summary]:
    """Summarise the stages of repeated frames; ``total`` is the sum of a frame's stages."""
    totals = [{**frame, "total": sum(frame.values())} for frame in frames]
    return {stage: Summary.of([frame[stage] for frame in totals]) for stage in totals[0]}


def paired_ratio(slow: Sequence[float], fast: Sequence[float]) -> float:
    """Return how many times as long *slow* takes as *fast*: the median over the turns, which have one of each.

    Other load on the machine affects both in a turn alike.
    """
    return median(one / other for one, other in zip(slow, fast, strict=True))
