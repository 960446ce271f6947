"""Mapping over independent pieces of work, serially or in threads: the caller passes an :class:`Each`.

NumPy releases the GIL inside its loops, so threads help if the pieces are large.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

A = TypeVar("A")
B = TypeVar("B")


class Each(Protocol):
    """Applies a function to each item and yields the results in order."""

    def __call__(self, function: Callable[[A], B], items: Iterable[A], /) -> Iterator[B]:
        """Behave like ``map`` and ``ThreadPoolExecutor.map``."""
        ...


def one_by_one(function: Callable[[A], B], items: Iterable[A], /) -> Iterator[B]:
    """Run serially in the calling thread."""
    return map(function, items)
