"""Limits on what goes on at a time: images, uploads, streams."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from edge_worker.gateway.problems import Problem

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass(slots=True)
class ConcurrencyLimit:
    """At most *limit* at a time; *what* completes the sentence for who comes too many."""

    limit: int
    what: str
    taken: int = 0

    @contextmanager
    def slot(self) -> Iterator[None]:
        """Take one of the slots.

        Raises:
            Problem: ``too_many_requests``.
        """
        if self.taken >= self.limit:
            raise Problem("too_many_requests", f"{self.limit} {self.what} already; try again in a moment")
        self.taken += 1
        try:
            yield
        finally:
            self.taken -= 1
