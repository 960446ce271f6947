"""Times measured again and again, and how they stand in the report."""

from __future__ import annotations

from statistics import median
from typing import TYPE_CHECKING

from edge_worker.common.percentiles import percentile

if TYPE_CHECKING:
    from collections.abc import Sequence


def p95(seconds: Sequence[float]) -> float:
    """Return the 95th percentile; with fewer than 20 values that is nearly the largest."""
    return percentile(seconds, 95)


def spread(seconds: Sequence[float]) -> str:
    """Say median, 95th percentile and largest."""
    return f"median {median(seconds):.2f} s, p95 {p95(seconds):.2f} s, largest {max(seconds):.2f} s"
