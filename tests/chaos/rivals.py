"""Two workers with one client id: each connects, and the broker throws the other out."""

from __future__ import annotations

import signal
import time
from typing import TYPE_CHECKING, Any, Final

from chaos.account import close_books
from chaos.camera import Traffic
from chaos.row import Row

if TYPE_CHECKING:
    from workers import WorkerProcess

    from chaos.consumer import Consumer
    from chaos.lab import Lab

RATE: Final = 3.0
NOTICED_S: Final = 30.0
STABLE_S: Final = 10.0
ALONE_S: Final = 60.0 + STABLE_S + 20.0
"""Timeout for who is left: it waits `reconnect.max_s` at most before it connects, and the connection must last."""
MOST_PER_MINUTE: Final = 20
"""Of connections that each worker may open on a link in the second half of the time; a client that comes back at once
opens hundreds."""


def run(lab: Lab) -> None:
    """Start a second worker with the configuration of the first, watch both, and stop the second."""
    broker = lab.running_broker()
    consumer = lab.consumer(broker.port)
    mqtt = {"reconnect": {"stable_s": STABLE_S}}
    first, second = lab.worker(broker.port, mqtt=mqtt), lab.worker(broker.port, mqtt=mqtt)
    consumer.wait_state("online", pid=first.start().pid)
    cameras = [lab.camera(broker.port, "door"), lab.camera(broker.port, "yard", sender_ids=False)]
    with Traffic(cameras, lab.random, RATE):
        second.start()
        began = time.monotonic()
        noticed = max(_contested(consumer, worker) for worker in (first, second)) - began
        time.sleep(max(0.0, lab.times / 2 - noticed))
        calmer = [_connections(worker) for worker in (first, second)]
        time.sleep(lab.times / 2)
        opened = [_connections(worker) - earlier for worker, earlier in zip((first, second), calmer, strict=True)]
        second.signal(signal.SIGTERM)
        second.wait()
        online = _online_again(consumer, first)
    close_books(lab, consumer, cameras)
    _require_said(lab, first, second)
    per_minute = 60 * max(opened) / (lab.times / 2)
    lab.require(per_minute <= MOST_PER_MINUTE, f"{per_minute:.0f} connections a minute are a storm")
    lab.measure("both say `contested` after", f"{noticed:.1f} s")
    lab.measure("connections a minute and worker, second half", per_minute)
    lab.measure("alone again, `online` after", f"{online:.1f} s (`stable_s` {STABLE_S:g})")


def _online_again(consumer: Consumer, worker: WorkerProcess) -> float:
    """Wait until the last that *worker* says of itself is that it is online; returns the seconds it took.

    It may be so at once: a connection that outlived the other's longest pause has made it forget the other.
    """
    began = time.monotonic()

    def look() -> bool:
        own = [said.content["state"] for said in consumer.statuses if said.content.get("pid") == worker.pid]
        return bool(own) and own[-1] == "online"

    consumer.wait(look, "the worker that is left says online", ALONE_S)
    return time.monotonic() - began


def _contested(consumer: Consumer, worker: WorkerProcess) -> float:
    """Wait until the status says that *worker* contends with another; returns the moment."""
    found: list[float] = []

    def look() -> bool:
        found[:] = [said.at for said in consumer.statuses if _is_contested(said.content, worker.pid)]
        return bool(found)

    consumer.wait(look, f"process {worker.pid} says contested", NOTICED_S)
    return found[0]


def _is_contested(status: dict[str, Any], pid: int) -> bool:
    return (status.get("pid"), status["state"], status.get("reason")) == (pid, "degraded", "contested")


def _connections(worker: WorkerProcess) -> int:
    """How often the first link of *worker* was connected so far."""
    return sum(line["event"] == "link: connected" and line["link"] == "control" for line in worker.log())


def _require_said(lab: Lab, *workers: WorkerProcess) -> None:
    """Require that each log names the client id that is used twice."""
    for worker in workers:
        said = [line for line in worker.log() if line["event"] == "link: taken over"]
        lab.require(any(line["client_id"] == "edge-worker-box" for line in said), "a log does not say it")


ROWS: Final = (
    Row(
        name="one-name-twice",
        fault="two workers with one client id",
        required="status and log say so; reconnects get rarer; every frame answered; `online` when one is left",
        run=run,
        short=60,
        full=240,
        unit="seconds",
    ),
)
