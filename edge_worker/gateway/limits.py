"""Limits on concurrency (images, uploads, streams), and on how many requests each client sends."""

from __future__ import annotations

from collections import OrderedDict
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from edge_worker.gateway.problems import Problem

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_CLIENTS: Final = 4096


@dataclass(slots=True)
class ConcurrencyLimit:
    """At most *limit* at a time; *what* completes the error message for one too many."""

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


class RateLimit:
    """A token bucket per client, refilled evenly; full, it allows a tenth of a minute's requests at once."""

    def __init__(self, per_minute: int) -> None:
        """Allow *per_minute* requests of each client."""
        self._per_s, self._burst = per_minute / 60, max(10.0, per_minute / 10)
        self._clients: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def wait_s(self, client: str, now: float, cost: float = 1.0) -> float:
        """Take a request of *client* at monotonic *now*; returns 0, or how long to wait before the next."""
        tokens, since = self._clients.pop(client, (self._burst, now))
        tokens = min(self._burst, tokens + (now - since) * self._per_s)
        allowed = tokens >= cost
        self._clients[client] = (tokens - cost * allowed, now)
        while len(self._clients) > MAX_CLIENTS:
            self._clients.popitem(last=False)
        return 0.0 if allowed else (cost - tokens) / self._per_s
