"""Detection of wall clock jumps. The wall clock is used only for timestamps in messages."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

NOTICEABLE_S: Final = 1.0
"""Smaller errors are corrected by time servers without a jump."""


class ClockWatch:
    """Compares the wall clock with the monotonic clock."""

    def __init__(self, wall: Callable[[], float] = time.time, monotonic: Callable[[], float] = time.monotonic) -> None:
        """Start comparing. The clocks return seconds."""
        self._wall, self._monotonic = wall, monotonic
        self._offset = self._read()

    def jump_s(self) -> float:
        """Return by how many seconds the wall clock was set since the last call (negative: back); 0.0 if it was not.

        A machine that was suspended looks like a clock that was set ahead.
        """
        before, self._offset = self._offset, self._read()
        jump = self._offset - before
        return jump if abs(jump) >= NOTICEABLE_S else 0.0

    def _read(self) -> float:
        return self._wall() - self._monotonic()
