"""A wall clock that jumps, hours ahead and years back."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from chaos.account import close_books
from chaos.camera import Traffic
from chaos.crash_hook import REPOSITORY
from chaos.row import Row

if TYPE_CHECKING:
    from chaos.lab import Lab

RATE: Final = 10.0
JUMPS: Final = (0.0, 86_400.0, -3_600.0, 7.0, -1e8)
"""Seconds, each for a second."""
MAX_AGE_MS: Final = 60_000.0

_SOURCE: Final = f"""\
import time
real, start = time.time, time.monotonic()
time.time = lambda: real() + {JUMPS}[int(time.monotonic() - start) % {len(JUMPS)}]
"""


def run(lab: Lab) -> None:
    """Let frames be answered by a worker, and a model process, whose clock is set every second."""
    broker = lab.running_broker()
    consumer = lab.consumer(broker.port)
    hook = lab.place("hook")
    (hook / "sitecustomize.py").write_text(_SOURCE)
    worker = lab.worker(broker.port, environment={"PYTHONPATH": f"{hook}:{REPOSITORY}"}).start()
    consumer.wait_state("online", pid=worker.pid)
    cameras = [lab.camera(broker.port, "door"), lab.camera(broker.port, "yard", sender_ids=False)]
    with Traffic(cameras, lab.random, RATE):
        time.sleep(lab.times)
    accounts = close_books(lab, consumer, cameras)
    lab.require(not any(account.errors for account in accounts.values()), "a frame was answered by an error")
    lab.require(not any(account.repeated for account in accounts.values()), "a frame was answered twice")
    ages = [said.content["age_ms"]["p95"] for said in consumer.stats if said.content.get("age_ms")]
    lab.require(all(0 <= age < MAX_AGE_MS for age in ages), f"ages follow the clock: {ages}")
    epochs = {link["epoch"] for link in consumer.account()["connections"]}
    lab.require(epochs == {1}, f"connections were lost: {epochs}")
    states = {said.content["state"] for said in consumer.statuses if said.content.get("pid") == worker.pid}
    lab.require("degraded" not in states, "the worker was degraded")
    noticed = [line for line in worker.log() if line["event"].startswith("the clock was set")]
    lab.require(len(noticed) >= lab.times / 2, f"of {lab.times} jumps the log tells {len(noticed)}")
    lab.measure("jumps noticed", len(noticed))


ROWS: Final = (
    Row(
        name="clock",
        fault="wall clock set every second: a day ahead, an hour back, three years back",
        required="logged; every frame answered once; ages, timeouts and connections unaffected",
        run=run,
        short=15,
        full=120,
        unit="seconds",
    ),
)
