"""The worker's state, its legal moves, and the time budget of a stop. Pure: clocks come in as arguments."""

from __future__ import annotations

import time
from enum import Enum
from threading import Lock
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable


class State(str, Enum):
    """What the status topic says; the words are part of the contract."""

    STARTING = "starting"
    LOADING = "loading"
    ONLINE = "online"
    DEGRADED = "degraded"
    STOPPING = "stopping"
    OFFLINE = "offline"


MOVES: Final[dict[State, frozenset[State]]] = {
    State.STARTING: frozenset({State.LOADING, State.STOPPING}),
    State.LOADING: frozenset({State.ONLINE, State.DEGRADED, State.STOPPING}),
    State.ONLINE: frozenset({State.DEGRADED, State.STOPPING}),
    State.DEGRADED: frozenset({State.ONLINE, State.STOPPING}),
    State.STOPPING: frozenset({State.OFFLINE}),
    State.OFFLINE: frozenset(),
}
"""The states that may follow each state."""


class IllegalMoveError(RuntimeError):
    """A defect in the caller: the state machine has no such edge."""


class Lifecycle:
    """The one holder of the worker's state. Safe to call from any thread."""

    def __init__(self, on_change: Callable[[State, State, str], None]) -> None:
        """Start in ``STARTING``; *on_change(old, new, reason)* is called once per change, outside the lock."""
        self._on_change = on_change
        self._lock = Lock()
        self._state, self._reason = State.STARTING, ""

    @property
    def state(self) -> State:
        """The present state."""
        return self._state

    @property
    def reason(self) -> str:
        """Why the present state was entered; empty when there is nothing to explain."""
        return self._reason

    def move(self, state: State, reason: str = "") -> bool:
        """Enter *state* because of *reason*; False when state and reason are what they were already.

        A new reason in the same state is a change, and is reported as one.

        Raises:
            IllegalMoveError: when *state* may not follow the present one.

        """
        with self._lock:
            old = self._state
            if (old, self._reason) == (state, reason):
                return False
            if state is not old and state not in MOVES[old]:
                raise IllegalMoveError(f"{old.value} → {state.value} ({reason or 'no reason given'})")
            self._state, self._reason = state, reason
        self._on_change(old, state, reason)
        return True


class Deadline:
    """One time budget shared by the steps of a stop, so that together they cannot pass it."""

    def __init__(self, total_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        """Begin a budget of *total_s* seconds now, as *clock* counts them."""
        self._clock = clock
        self._end = clock() + total_s

    @property
    def expired(self) -> bool:
        """Whether nothing is left."""
        return self.remaining() <= 0

    def remaining(self) -> float:
        """Seconds left, never below zero: fit for the ``timeout=`` of a wait."""
        return max(0.0, self._end - self._clock())
