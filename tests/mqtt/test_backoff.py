"""Waiting times between attempts to connect."""

from __future__ import annotations

import pytest

from edge_worker.config.mqtt import ReconnectConfig
from edge_worker.mqtt.backoff import QUICK_MAX_S, REFUSED_FACTOR, Backoff, Failure

CONFIG = ReconnectConfig(min_s=0.5, max_s=60.0, stable_s=30.0)


def longest(_low: float, high: float) -> float:
    return high


@pytest.mark.parametrize(
    ("failure", "limit"),
    [
        (Failure.FAILED, CONFIG.max_s),
        (Failure.CLOSED_PORT, QUICK_MAX_S),
        (Failure.REFUSED, CONFIG.max_s * REFUSED_FACTOR),
    ],
)
def test_waits_double_up_to_the_limit_of_their_kind(failure: Failure, limit: float) -> None:
    """A closed port is asked often, a refused login seldom; and for ever."""
    backoff = Backoff(CONFIG, longest)
    waits = [backoff.wait_s(failure) for _ in range(3000)]
    assert waits[:2] == [0.5, 1.0]
    assert waits[-1] == limit
    assert waits == sorted(waits)


def test_waits_are_drawn_from_the_upper_half() -> None:
    """A hundred workers cut off at once do not come back at once, and none comes back without waiting."""
    backoff = Backoff(CONFIG)
    waits = [Backoff(CONFIG).wait_s(Failure.FAILED) for _ in range(100)]
    assert all(0.25 <= wait <= 0.5 for wait in waits)
    assert len(set(waits)) > 90
    assert 0.25 <= backoff.wait_s(Failure.FAILED) <= 0.5


def test_only_a_stable_connection_starts_anew() -> None:
    """Let in and thrown out at once, for ever, must not storm the broker."""
    backoff = Backoff(CONFIG, longest)
    for _ in range(10):
        backoff.wait_s(Failure.FAILED, connected_s=29.0)
    assert backoff.wait_s(Failure.FAILED, connected_s=29.0) == 60.0
    assert backoff.wait_s(Failure.FAILED, connected_s=30.0) == 0.5


def test_a_long_time_without_broker_is_forgotten_when_it_is_back() -> None:
    """A broker that stumbles while it starts is not punished for having been away."""
    backoff = Backoff(CONFIG, longest)
    for _ in range(1000):
        backoff.wait_s(Failure.CLOSED_PORT)
    assert backoff.wait_s(Failure.FAILED) == 0.5


@pytest.mark.parametrize("lasted_s", [0.1, 29.0])
@pytest.mark.parametrize("failure", [Failure.CLOSED_PORT, Failure.EXPLAINED])
def test_who_was_not_thrown_out_comes_back_soon(failure: Failure, lasted_s: float) -> None:
    """However often the broker restarts, and however soon: the waits do not grow from one restart to the next."""
    backoff = Backoff(CONFIG, longest)
    for _ in range(10):
        assert backoff.wait_s(failure, connected_s=lasted_s) == 0.5
        assert [backoff.wait_s(Failure.CLOSED_PORT) for _ in range(3)] == [1.0, QUICK_MAX_S, QUICK_MAX_S]


def test_a_closed_port_clears_who_was_suspected_of_throwing_us_out() -> None:
    """A broker that crashes under a client ends its connections, too."""
    backoff = Backoff(CONFIG, longest)
    for _ in range(10):
        assert backoff.wait_s(Failure.FAILED, connected_s=0.1) == 0.5
        backoff.wait_s(Failure.CLOSED_PORT)


def test_the_configured_limit_is_never_passed() -> None:
    """A closed port is not asked less often than configured, either."""
    config = ReconnectConfig(min_s=0.1, max_s=0.4, stable_s=1.0)
    backoff = Backoff(config, longest)
    assert [backoff.wait_s(Failure.CLOSED_PORT) for _ in range(5)][-1] == 0.4
