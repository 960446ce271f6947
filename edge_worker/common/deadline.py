"""A time budget shared by several steps. Pure: the clock comes in as an argument."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


class Deadline:
    """One time budget shared by the steps of a stop, so that together they cannot pass it."""

    def __init__(self, total_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        """Begin a budget of *total_s* seconds now, as *clock* counts them."""
        self._clock = clock
        self._end = clock() + total_s

    @property
    def expired(self) -> bool:
        """Return whether the budget is used up."""
        return self.remaining() <= 0

    def remaining(self) -> float:
        """Return the seconds left, not below zero: suitable as ``timeout=``."""
        return max(0.0, self._end - self._clock())
