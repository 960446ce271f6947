"""Bounds on what may go on at a time: images, uploads, streams."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from edge_worker.gateway.problems import Problem

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass(slots=True)
class Places:
    """So many places; *what* says in a sentence who has them."""

    limit: int
    what: str
    taken: int = 0

    def require(self) -> None:
        """See that one is free.

        Raises:
            Problem: ``too_many_requests``.
        """
        if self.taken >= self.limit:
            raise Problem("too_many_requests", f"{self.limit} {self.what} already; try again in a moment")

    @contextmanager
    def one(self) -> Iterator[None]:
        """Take a place.

        Raises:
            Problem: as :meth:`require`.
        """
        self.require()
        self.taken += 1
        try:
            yield
        finally:
            self.taken -= 1
