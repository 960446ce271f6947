"""The worker's states and the time budget of a stop."""

from __future__ import annotations

import itertools

import pytest

from edge_worker.common.deadline import Deadline
from edge_worker.service.lifecycle import MOVES, IllegalMoveError, Judgement, Lifecycle, State


class Clock:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_each_change_is_reported_once() -> None:
    """A move is reported with what was before; another reason or explanation is a change, the same one is none."""
    changes: list[tuple[Judgement, Judgement]] = []
    life = Lifecycle(lambda *change: changes.append(change))
    story = [
        Judgement(State.STARTING),
        Judgement(State.LOADING),
        Judgement(State.DEGRADED, "model_restarting", "killed"),
        Judgement(State.DEGRADED, "model_restarting", "model.onnx is missing"),
        Judgement(State.DEGRADED, "subscribing", "not authorized"),
    ]
    for judgement in story[1:]:
        assert life.move(judgement)
        assert not life.move(judgement)
    assert changes == list(itertools.pairwise(story))
    assert life.present == story[-1]


def test_a_judgement_is_told_in_one_line() -> None:
    """As far as there is something to tell."""
    assert str(Judgement(State.ONLINE)) == "online"
    assert str(Judgement(State.DEGRADED, "disconnected", "timed out")) == "degraded: disconnected: timed out"


@pytest.mark.parametrize(
    ("old", "new"), [(o, n) for o, n in itertools.product(State, State) if n not in MOVES[o] | {o}]
)
def test_moves_outside_the_table_are_defects(old: State, new: State) -> None:
    """No state is left by a way the table does not show, and a refused move changes nothing."""
    life = Lifecycle(lambda *_: None)
    life._present = Judgement(old)
    with pytest.raises(IllegalMoveError, match=f"{old.value} → {new.value}"):
        life.move(Judgement(new))
    assert life.present == Judgement(old)


def test_every_state_but_the_last_can_be_stopped_from() -> None:
    """A stop must be possible at any moment of the worker's life."""
    assert all(State.STOPPING in MOVES[state] for state in State if state not in {State.STOPPING, State.OFFLINE})


def test_a_deadline_counts_down_to_zero_and_stays_there() -> None:
    """What remains is fit for a timeout at any time: never negative."""
    clock = Clock()
    deadline = Deadline(10.0, clock)
    clock.now += 4
    assert deadline.remaining() == pytest.approx(6.0)
    assert not deadline.expired
    clock.now += 7
    assert deadline.remaining() == 0.0
    assert deadline.expired
