"""Whether all parts of a worker advance, as the health page and the watchdog are told."""

from __future__ import annotations

import time
from types import SimpleNamespace
from typing import Any

import pytest

from edge_worker.service.lifecycle import State
from edge_worker.service.probes import STALLED_S, Probes


def probes(*, unhealthy: str = "", pool_at: float = 0.0, state: State = State.ONLINE) -> Probes:
    """Probes of parts that say what they are told to."""
    parts: dict[str, Any] = {
        "frame_queue": None,
        "cache": None,
        "reporter": None,
        "certificates": dict,
        "pool": SimpleNamespace(alive_at=lambda: time.monotonic() + pool_at),
        "links": SimpleNamespace(unhealthy=lambda: unhealthy),
        "node_status": SimpleNamespace(state=state),
    }
    return Probes("box", **parts)


@pytest.mark.parametrize(
    ("found", "culprit"),
    [
        ({}, []),
        ({"unhealthy": "every"}, ["network"]),
        ({"pool_at": -STALLED_S - 1}, ["model"]),
    ],
)
def test_a_part_that_stalls_is_named(found: dict[str, Any], culprit: list[str]) -> None:
    """And nothing is alive that has a part which is not."""
    health = probes(**found).alive()
    assert [check.name for check in health.checks if not check.ok] == culprit
    assert health.ok is not bool(culprit)


def test_the_main_loop_must_go_round(monkeypatch: pytest.MonkeyPatch) -> None:
    """It says so itself, each time."""
    found, now = probes(), time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: now + STALLED_S + 1)
    assert [check.name for check in found.alive().checks if not check.ok] == ["main_loop"]
    found.main_loop_advanced()
    assert found.alive().ok


@pytest.mark.parametrize("state", State)
def test_ready_means_online(state: State) -> None:
    """In every other state frames may have to wait."""
    assert probes(state=state).ready().ok is (state is State.ONLINE)
