"""How long to wait before the next attempt to connect. Pure: randomness is passed in."""

from __future__ import annotations

import random
from enum import Enum, auto
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

    from edge_worker.config.mqtt import ReconnectConfig

QUICK_MAX_S: Final = 1.5
"""A closed port answers at once and costs the broker nothing, so it is tried at least this often: a broker that comes
back is found within two seconds, even by the slower of two links."""

REFUSED_FACTOR: Final = 5
"""A login that was refused is tried less often: only a person can change the outcome."""


class Failure(Enum):
    """How an attempt or a connection ended."""

    CLOSED_PORT = auto()
    """Nobody listens there, or no longer: the broker itself ended. Or there is no route to it, or no such name."""
    FAILED = auto()
    """Anything temporary: network, silence, overload, a connection that broke."""
    EXPLAINED = auto()
    """The broker ended the connection over a message, which is tried ever less often."""
    REFUSED = auto()
    """The broker refused us, and will until login, rights or name are changed."""


_QUICK: Final = frozenset({Failure.CLOSED_PORT, Failure.EXPLAINED})


class Backoff:
    """Waiting times that double from ``min_s`` to a limit, each drawn from its upper half.

    They start over only after a connection that lasted ``stable_s``: a client that is accepted and disconnected at once
    (another has its name, the broker objects to a message) must not flood the broker. Failures in ``_QUICK`` are not of
    that kind and are counted separately, between two connections; a closed port shows that none before it was, either.
    """

    def __init__(self, config: ReconnectConfig, draw: Callable[[float, float], float] = random.uniform) -> None:
        """Wait as *config* says; *draw(low, high)* gives a random number between both."""
        self._config, self._draw = config, draw
        self._failures = self._quick_failures = 0

    def wait_s(self, failure: Failure, connected_s: float = 0.0) -> float:
        """Return the seconds to wait after *failure* of a connection that had lasted *connected_s*."""
        if connected_s > 0:
            self._quick_failures = 0
        if failure is Failure.CLOSED_PORT or connected_s >= self._config.stable_s:
            self._failures = 0
        repeated = self._quick_failures if failure in _QUICK else self._failures
        wanted, limit = self._config.min_s * 2.0**repeated, self._limit_s(failure)
        if wanted < limit:  # no overflow in a year of closed ports
            self._count(failure)
        ceiling = min(wanted, limit)
        return self._draw(ceiling / 2, ceiling)

    def _count(self, failure: Failure) -> None:
        if failure in _QUICK:
            self._quick_failures += 1
        else:
            self._failures += 1

    def _limit_s(self, failure: Failure) -> float:
        if failure in _QUICK:
            return min(self._config.max_s, QUICK_MAX_S)
        return self._config.max_s * (REFUSED_FACTOR if failure is Failure.REFUSED else 1)
