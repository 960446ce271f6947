"""The percentile function shared by stats, demo, bench and fault tests."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

_HUNDRED: Final = 100


def percentile(values: Iterable[float], percent: int) -> float:
    """Return the value below which *percent* (0-100) of the *values* lie, in their unit.

    Values are interpolated linearly; the 0th and 100th percentiles are the smallest and the largest value.

    Raises:
        ValueError: there are no values, or *percent* is not between 0 and 100.
    """
    ordered = sorted(values)
    if not ordered or not 0 <= percent <= _HUNDRED:
        raise ValueError(f"no percentile {percent} of {len(ordered)} values")
    below, hundredths = divmod(percent * (len(ordered) - 1), _HUNDRED)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * hundredths / _HUNDRED
