"""Signals at every phase of a worker's life: a stop, a stop asked for twice, a reload."""

from __future__ import annotations

import signal
import time
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import yaml
from brokers import wait_until

from chaos.account import close_books
from chaos.phases import HELD, PHASES, REACHABLE, STATS_S, Stage, idle, nothing
from chaos.row import Row

if TYPE_CHECKING:
    from chaos.lab import Lab
    from chaos.phases import Phase, Release

BUDGET_S: Final = 20.0
"""What the documentation promises of a stop."""
AT_ONCE_S: Final = 3.0
"""For a process that was told twice to end, on a busy machine."""


def terminate(stage: Stage, phase: Phase) -> None:
    """One SIGTERM: within the budget, with a word to the broker where there is one; what was in work is answered."""
    camera = stage.door if phase in REACHABLE else stage.rough
    with phase(stage, camera) as release:
        known = len(stage.consumer.statuses)
        code, took_s = _stop(stage, release)
        stage.stops_s.setdefault(phase.__name__, []).append(took_s)
        stage.lab.require(code == 0, f"{phase.__name__}: exit code {code} after SIGTERM")
        stage.lab.require(took_s <= BUDGET_S, f"{phase.__name__}: stopped only after {took_s:.1f} s")
        if phase in REACHABLE:
            said = stage.consumer.wait_state("offline", pid=stage.worker.pid, after=known)
            reason = said.content["reason"]
            stage.lab.require(reason == "stopped", f"{phase.__name__}: the last word was {reason}")
            stage.consumer.wait_answered(camera.name, camera.accepted)  # by this worker, for there is no other


def insist(stage: Stage, phase: Phase) -> None:
    """SIGINT twice: it ends by the signal, at once, and its model process with it."""
    with phase(stage, stage.rough):
        model = stage.worker.model_pid() if phase in HELD else None
        _send(stage, signal.SIGINT, "state")
        began = time.monotonic()
        stage.worker.signal(signal.SIGINT)
        code, took_s = stage.worker.wait(), time.monotonic() - began
        expected = {-signal.SIGINT} if phase in HELD else {-signal.SIGINT, 0}
        stage.lab.require(code in expected, f"{phase.__name__}: exit code {code} after two SIGINT")
        stage.lab.require(took_s <= AT_ONCE_S, f"{phase.__name__}: ended {took_s:.1f} s after the second SIGINT")
        if model is not None:
            wait_until(lambda: _is_gone(model), "the model process ends with its worker", AT_ONCE_S)
        stage.forced += code == -signal.SIGINT


def reload(stage: Stage, phase: Phase) -> None:
    """SIGHUP with a broken file, then with a good one: the one is refused, of the other both halves are told."""
    camera = stage.door if phase in REACHABLE else stage.rough
    with phase(stage, camera) as release:
        good = yaml.safe_load(stage.worker.configuration.read_text())
        stage.worker.configuration.write_text("mqtt: {")
        _send(stage, signal.SIGHUP, "configuration not reloaded")
        stage.worker.configure(_changed(good))
        _send(stage, signal.SIGHUP, "configuration reloaded")
        entry = [line for line in stage.worker.log() if line["event"] == "configuration reloaded"][-1]
        right = (entry["applied"], entry["needs_restart"]) == (["model.score_threshold"], ["limits.max_pixels"])
        stage.lab.require(right, f"{phase.__name__}: the log says {entry}")
        release()
        code, _ = _stop(stage, nothing)
        stage.lab.require(code == 0, f"{phase.__name__}: exit code {code} after a reload and SIGTERM")


def _changed(settings: dict[str, Any]) -> dict[str, Any]:
    """Change a key that applies live and one that waits for a restart."""
    pixels = settings.get("limits", {}).get("max_pixels", 1_000_000)
    return {
        **settings,
        "limits": {"max_pixels": pixels + 1},
        "model": {**settings["model"], "score_threshold": (pixels + 1) % 2 / 100},
    }


def _send(stage: Stage, number: signal.Signals, answer: str) -> None:
    """Send a signal and wait until the log has the event that answers it."""
    seen = stage.count(answer)
    stage.worker.signal(number)
    wait_until(lambda: stage.count(answer) > seen, f"{answer} after {number.name}")


def _stop(stage: Stage, release: Release) -> tuple[int, float]:
    """Send SIGTERM and let the worker go on when it has seen that; returns its exit code and the seconds it took."""
    began = time.monotonic()
    _send(stage, signal.SIGTERM, "state")
    release()
    return stage.worker.wait(), time.monotonic() - began


def _is_gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


def run(lab: Lab) -> None:
    """Send signals, each in its phase, in an order drawn anew for each round of all of them."""
    broker = lab.running_broker()
    worker = lab.worker(
        broker.port,
        ops={"stats_interval_s": STATS_S},
        model={"path": "builtin:seeded", "short_side": 64, "score_threshold": 0.0},
    )
    consumer = lab.consumer(broker.port)
    stage = Stage(lab, broker, consumer, worker, lab.camera(broker.port, "door"), lab.camera(broker.port, "rough"))
    terminate(stage, idle)  # once online, so that the broker keeps frames for it from now on
    cases = list(product((terminate, insist, reload), PHASES))
    for number in range(lab.times):
        if number % len(cases) == 0:
            lab.random.shuffle(cases)
        act, phase = cases[number % len(cases)]
        act(stage, phase)
    stage.online()
    stage.wait_idle()
    accounts = close_books(lab, consumer, [stage.door, stage.rough])
    lab.require(not any(account.errors for account in accounts.values()), "a frame was answered by an error")
    lab.require(accounts["door"].repeated == 0, "what a stop had drained was answered again")
    for phase_name, stops_s in stage.stops_s.items():
        lab.measure(f"slowest stop, {phase_name.replace('_', ' ')}", f"{max(stops_s):.1f} s")
    lab.measure("ended by the second signal", stage.forced)


ROWS: Final = (
    Row(
        name="signals",
        fault="SIGTERM, SIGINT twice, SIGHUP; while loading, idle, mid-frame, publishing, broker gone or frozen",
        required="exit code 0 within 20 s, frames in work answered once; second signal: ended at once; reload: live "
        "keys applied, others named, a broken file refused",
        run=run,
        short=21,
        full=105,
        unit="signals",
        alone=True,
    ),
)
