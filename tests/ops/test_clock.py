"""A wall clock that jumps is noticed; one that is a little fast is not."""

from __future__ import annotations

import pytest

from edge_worker.ops.clock import ClockWatch


def test_a_jump_is_noticed_once() -> None:
    """Ahead and back, with its size."""
    wall, monotonic = [1000.0], [5.0]
    watch = ClockWatch(lambda: wall[0], lambda: monotonic[0])
    for jump in (3600.0, -7200.0):
        wall[0] += 10 + jump
        monotonic[0] += 10
        assert watch.jump_s() == pytest.approx(jump)
        assert watch.jump_s() == 0.0


def test_a_clock_that_is_corrected_smoothly_does_not_jump() -> None:
    """However much it adds up to."""
    now = [0.0]
    watch = ClockWatch(lambda: now[0] * 1.0005, lambda: now[0])
    for _ in range(5000):
        now[0] += 1.0
        assert watch.jump_s() == 0.0
