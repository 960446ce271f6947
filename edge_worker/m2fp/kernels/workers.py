"""A thread pool for the work of one kernel call."""

from __future__ import annotations

from collections import deque
from concurrent.futures import ThreadPoolExecutor, wait
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

# Pieces of work per thread: several, so that other threads take over from a delayed one.
_PIECES = 4


class Workers:
    """Threads that share the work of one call; the calling thread takes part, which saves a wake-up."""

    def __init__(self, count: int) -> None:
        """Use *count* threads, including the caller; idle threads do not spin."""
        self._count = count
        self._others = ThreadPoolExecutor(count - 1, thread_name_prefix="kernels") if count > 1 else None

    def share(self, work: Callable[[int, int], object], length: int, least: int = 1) -> None:
        """Call *work* on pieces (begin, end) that cover range(*length*), each of *least* or more.

        Pieces are smaller if there would be fewer than threads. An exception of *work* is raised after all
        threads have finished.
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

    def close(self) -> None:
        """End the other threads."""
        if self._others:
            self._others.shutdown()
