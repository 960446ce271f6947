"""Threads that share the work of one operation."""

from __future__ import annotations

from collections import deque
from concurrent.futures import ThreadPoolExecutor, wait
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

# Pieces of the work per thread: a thread that is held up by others leaves more to the rest.
_PIECES = 4


class Workers:
    """Threads that share the work of one call; the one that calls is one of them: it need not be woken first."""

    def __init__(self, count: int) -> None:
        """As many as *count*; they wait without using the processor."""
        self._count = count
        self._others = ThreadPoolExecutor(count - 1, thread_name_prefix="kernels") if count > 1 else None

    def share(self, work: Callable[[int, int], object], length: int, least: int = 1) -> None:
        """Have *work* done for all of range(*length*), a piece (begin, end) at a time, of *least* of them or more.

        A piece may be smaller where there would be fewer pieces than threads. What *work* raises is raised
        when no thread is at work any more.
        """
        pieces = min(self._count * _PIECES, max(length // least // self._count, 1) * self._count)
        step = -(-length // pieces)
        waiting = deque(range(0, length, step))

        def take_part() -> None:
            while waiting:
                try:
                    begin = waiting.popleft()
                except IndexError:  # another thread was faster
                    return
                work(begin, min(begin + step, length))

        helping = [self._others.submit(take_part) for _ in range(self._count - 1)] if self._others else []
        try:
            take_part()
        finally:
            running = [other for other in helping if not other.cancel()]
            wait(running)
        for other in running:
            other.result()
