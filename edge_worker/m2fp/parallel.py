"""Doing independent pieces of work, one by one or in threads: the caller decides, the worker takes an :class:`Each`.

NumPy lets go of the interpreter inside its loops, so that threads help where pieces are large.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

A = TypeVar("A")
B = TypeVar("B")


class Each(Protocol):
    """Applies a function to each item; results come in the order of the items."""

    def __call__(self, function: Callable[[A], B], items: Iterable[A], /) -> Iterator[B]:
        """Results by item, as ``map`` and ``ThreadPoolExecutor.map`` give them."""
        ...


def one_by_one(function: Callable[[A], B], items: Iterable[A], /) -> Iterator[B]:
    """Do all in this thread."""
    return map(function, items)
