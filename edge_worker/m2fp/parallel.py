"""Mapping over independent pieces of work, serially or in threads: the caller passes an :class:`Each`.

NumPy releases the GIL inside its loops, so threads help if the pieces are large.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, TypeVar

from edge_worker.m2fp.kernels.workers import Workers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

A = TypeVar("A")
B = TypeVar("B")


class Each(Protocol):
    """Applies a function to each item and yields the results in order."""

    def __call__(self, function: Callable[[A], B], items: Iterable[A], /) -> Iterator[B]:
        """Behave like ``map`` and ``ThreadPoolExecutor.map``."""


def one_by_one(function: Callable[[A], B], items: Iterable[A], /) -> Iterator[B]:
    """Run serially in the calling thread."""
    return map(function, items)


class InThreads:
    """Runs in a few threads, including the calling one.

    Threads take several items at a time, and the caller those that no other has started: an item may take no longer
    than waking a thread, and on a busy machine the other threads may not run at all.
    """

    def __init__(self, count: int) -> None:
        """Use *count* threads, including the caller."""
        self._workers = Workers(count)

    def __call__(self, function: Callable[[A], B], items: Iterable[A], /) -> Iterator[B]:
        """Run immediately and yield the results; exceptions are raised after all threads have finished."""
        todo = list(items)
        done: list[list[B]] = [[]] * len(todo)

        def work(begin: int, end: int) -> None:
            done[begin] = [function(item) for item in todo[begin:end]]

        if todo:
            self._workers.share(work, len(todo))
        return (result for piece in done for result in piece)

    def close(self) -> None:
        """End the other threads."""
        self._workers.close()
