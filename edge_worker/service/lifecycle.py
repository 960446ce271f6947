"""The worker's state and its legal moves. Pure."""

from __future__ import annotations

from enum import StrEnum
from threading import Lock
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable


class State(StrEnum):
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


class Judgement(NamedTuple):
    """A state, the stable word for why, and an explanation; the last two may be empty."""

    state: State
    reason: str = ""
    detail: str = ""

    def __str__(self) -> str:
        """For people, in one line."""
        return ": ".join(filter(None, (self.state.value, self.reason, self.detail)))


class IllegalMoveError(RuntimeError):
    """A defect in the caller: the state machine has no such edge."""


class Lifecycle:
    """The one holder of the worker's state. Safe to call from any thread."""

    def __init__(self, on_change: Callable[[Judgement, Judgement], None]) -> None:
        """Start in ``STARTING``; *on_change(old, new)* is called once per change, outside the lock."""
        self._on_change = on_change
        self._lock = Lock()
        self._present = Judgement(State.STARTING)

    @property
    def present(self) -> Judgement:
        """The present state, and why."""
        return self._present

    def move(self, judgement: Judgement) -> bool:
        """Enter a state; False when nothing changes.

        Another reason for the same state is a change, and so is another explanation: it may be the one that helps.

        Raises:
            IllegalMoveError: when the state may not follow the present one.

        """
        with self._lock:
            old = self._present
            if old == judgement:
                return False
            if judgement.state is not old.state and judgement.state not in MOVES[old.state]:
                why = judgement.reason or "no reason given"
                raise IllegalMoveError(f"{old.state.value} → {judgement.state.value} ({why})")
            self._present = judgement
        self._on_change(old, judgement)
        return True
