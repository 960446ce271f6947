"""Threads that share the work of one operation."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

# Pieces of the work per thread: a thread that is held up by others leaves more to the rest.
_PIECES = 4


class Workers:
    """Threads that share the work of one call."""

    def __init__(self, count: int) -> None:
        """As many as *count*; they wait without using the processor."""
        self._count = count
        self._pool = ThreadPoolExecutor(count, thread_name_prefix="kernels")

    def share(self, work: Callable[[int, int], object], length: int) -> None:
        """Have *work* done for all of range(*length*), a piece (begin, end) at a time."""
        step = -(-length // (self._count * _PIECES))
        list(self._pool.map(lambda begin: work(begin, min(begin + step, length)), range(0, length, step)))
