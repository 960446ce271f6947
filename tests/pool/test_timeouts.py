"""Limits, pauses and replacement by plan: pure arithmetic."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_worker.config import WatchdogConfig
from edge_worker.pool.timeouts import FAILURES_ALLOWED, PhaseClock, RecyclePolicy, RestartPauses, TimeoutPolicy

WATCHDOG = WatchdogConfig(frame_factor=10, frame_min_s=30, load_s=300, crash_limit=3, crash_window_s=60)


@given(st.lists(st.floats(0, 1000)))
def test_the_frame_limit_is_measured(seconds: list[float]) -> None:
    """It is max(frame_min_s, frame_factor x the slowest of the last hundred frames)."""
    timeouts = TimeoutPolicy(WATCHDOG)
    for one in seconds:
        timeouts.learn(one)
    assert timeouts.frame_limit_s == max(30, 10 * max(seconds[-100:], default=0))


def test_a_slow_frame_is_forgotten_after_a_hundred() -> None:
    """The limit comes down again."""
    timeouts = TimeoutPolicy(WATCHDOG)
    timeouts.learn(50)
    for _ in range(99):
        timeouts.learn(1)
    assert timeouts.frame_limit_s == 500
    timeouts.learn(1)
    assert timeouts.frame_limit_s == 30


def test_compiling_neither_counts_nor_is_counted() -> None:
    """Loading has a limit of its own, work another; phases of one kind share it, also across phases of the other."""
    clock = PhaseClock(TimeoutPolicy(WATCHDOG), "decode")
    clock.spend(5)
    clock.enter("preprocess")
    clock.spend(5)
    assert clock.left_s == 20
    clock.enter("compile")
    assert clock.left_s == 300
    clock.spend(250)
    clock.enter("warm_up")
    assert clock.left_s == 50
    clock.enter("inference")
    assert clock.left_s == 20
    clock.enter("compile")
    assert clock.left_s == 50
    assert clock.worked_s == 10


def test_what_is_no_phase_is_refused() -> None:
    """It would stand in log and status."""
    with pytest.raises(ValueError, match="unknown phase 'lunch'"):
        PhaseClock(TimeoutPolicy(WATCHDOG), "decode").enter("lunch")


def test_the_first_failures_cost_no_pause_and_later_ones_growing_ones() -> None:
    """crash_limit within crash_window_s begins the pauses, which double up to a minute and go on for ever."""
    pauses = RestartPauses(WATCHDOG)
    assert [pauses.failed(now) for now in range(10)] == [0, 0, 1, 2, 4, 8, 16, 32, 60, 60]


def test_pauses_themselves_are_no_recovery() -> None:
    """A process that fails at once after each pause of a minute is not taken for a healthy one."""
    pauses = RestartPauses(WATCHDOG)
    now = 0.0
    for _ in range(40):
        pause = pauses.failed(now)
        pauses.paused(pause)
        now += 0.5 + pause
    assert pauses.failed(now) == 60


def test_a_pause_cut_short_is_no_longer_than_it_was() -> None:
    """After a restart by command the process is healthy again as soon as others are."""
    pauses = RestartPauses(WATCHDOG)
    for _ in range(8):
        assert pauses.failed(0) <= 60
        pauses.paused(0.1)
    assert pauses.failed(61.0) == 0


@pytest.mark.parametrize("count", [2, 6, 60])
def test_failures_far_apart_cost_no_pause(count: int) -> None:
    """What happened before the window does not count."""
    pauses = RestartPauses(WATCHDOG)
    assert {pauses.failed(now * 31.0) for now in range(count)} == {0}


def test_a_process_that_grew_past_the_limit_is_replaced() -> None:
    """And the reason names the key that says so."""
    recycling = RecyclePolicy(limit_mb=100, loaded_mb=50)
    assert recycling.reason_to_replace(100) == ""
    assert recycling.reason_to_replace(101) == "101 MB of memory, over memory.limit_mb: 100"


def test_a_limit_below_the_model_itself_is_not_in_force() -> None:
    """Each frame would end its process."""
    recycling = RecyclePolicy(limit_mb=100, loaded_mb=101)
    assert not recycling.is_limited
    assert recycling.reason_to_replace(10_000) == ""


def test_only_failures_in_a_row_speak_against_the_model() -> None:
    """A frame that works shows that the model is well."""
    recycling = RecyclePolicy(limit_mb=100, loaded_mb=50)
    for _ in range(FAILURES_ALLOWED - 1):
        recycling.failed()
    recycling.worked()
    recycling.failed()
    assert recycling.reason_to_replace(50) == ""
    for _ in range(FAILURES_ALLOWED - 1):
        recycling.failed()
    assert recycling.reason_to_replace(50) == f"the model failed under {FAILURES_ALLOWED} frames in a row"
