"""A time budget shared by several steps. Pure: the clock is passed in."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


class Deadline:
    """One time budget shared by the steps of a stop, which together cannot exceed it."""

    def __init__(self, total_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        """Start a budget of *total_s* seconds now, measured by *clock*."""
        self._clock = clock
        self._end = clock() + total_s

    @property
    def expired(self) -> bool:
        """Whether the budget is used up."""
        return self.remaining() <= 0

    def remaining(self) -> float:
        """Return the seconds left, never negative: suitable as ``timeout=``."""
        return max(0.0, self._end - self._clock())
