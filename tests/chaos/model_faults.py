"""What happens to the model process: killed, stopped, and crashed by a frame; the worker around it stays up."""

from __future__ import annotations

import os
import signal
import time
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Final

from chaos.account import close_books
from chaos.camera import Traffic, image
from chaos.crash_hook import CrashHook, marked
from chaos.probes import Probes, require_no_leak
from chaos.row import Row
from chaos.times import spread

if TYPE_CHECKING:
    from collections.abc import Iterator

    from workers import WorkerProcess

    from chaos.consumer import Consumer
    from chaos.lab import Lab

RATE: Final = 8.0
WORKING_S: Final = 1.0
PATIENT: Final = {"crash_limit": 1000}
"""Else the worker pauses before it starts a process that keeps failing, up to a minute: right, and not the question."""


def strike(number: signal.Signals, lab: Lab) -> None:
    """Send the model process a signal at random instants; it comes back, and no frame notices."""
    broker = lab.running_broker()
    consumer = lab.consumer(broker.port)
    worker = lab.worker(broker.port, watchdog=PATIENT).start()
    before = _settled(consumer, worker)
    cameras = [lab.camera(broker.port, "door"), lab.camera(broker.port, "yard", sender_ids=False)]
    noticed: list[float] = []
    back: list[float] = []
    with Traffic(cameras, lab.random, RATE):
        for _ in range(lab.times):
            consumer.wait_result()  # twice under one frame would be the frame's fault
            time.sleep(lab.random.uniform(0.0, WORKING_S))
            with _watched(consumer, noticed, back):
                os.kill(worker.model_pid(), number)
    accounts = close_books(lab, consumer, cameras)
    lab.require(not any(account.errors for account in accounts.values()), "a frame was answered by an error")
    lab.require(not any(account.repeated for account in accounts.values()), "a frame was answered twice")
    lab.measure("noticed", spread(noticed))
    lab.measure("online again", spread(back))
    _require_unbroken(lab, consumer, crashes=lab.times)
    require_no_leak(lab, before, Probes.of(worker.pid))


def crash(lab: Lab) -> None:
    """Send frames that crash the model process amid harmless ones, and each image once more when it is quarantined.

    Of three cases, in one the worker is killed between the two crashes, in one after them.
    """
    broker = lab.running_broker()
    consumer = lab.consumer(broker.port)
    hook = CrashHook(lab.place("hook"))
    worker = lab.worker(broker.port, watchdog=PATIENT, environment=hook.environment).start()
    _settled(consumer, worker)
    killer, others = lab.camera(broker.port, "killer"), [lab.camera(broker.port, name) for name in ("door", "yard")]
    seconds = []
    for number in range(lab.times):
        payload, known = marked(image(number), number), len(consumer.statuses)
        with Traffic(others, lab.random, RATE):
            began = time.monotonic()
            frame_id = killer.send(payload)
            if number % 3 == 1:
                consumer.wait_state("degraded", after=known)
                _restart(worker)
            consumer.wait_answered("killer", [frame_id])
            seconds.append(time.monotonic() - began)
        if number % 3 == 2:
            _restart(worker)
        consumer.wait_answered("killer", [killer.send(payload)])
        lab.require(hook.crashes(number) == 2, f"killer {number} crashed {hook.crashes(number)} model processes, not 2")
    lab.measure("quarantined after", spread(seconds))
    accounts = close_books(lab, consumer, [killer, *others])
    errors = [accounts[camera.name].errors for camera in others]
    lab.require(not any(errors), f"harmless frames were answered by errors: {errors}")
    lab.require(accounts["killer"].errors == {"poisoned": 2 * lab.times}, f"killers: {accounts['killer'].errors}")
    lab.require(not accounts["killer"].labelled, "a killer frame was answered by labels")


def _restart(worker: WorkerProcess) -> None:
    worker.kill()
    worker.start()


def _settled(consumer: Consumer, worker: WorkerProcess) -> Probes:
    """Wait until the worker is online; returns what it then holds."""
    consumer.wait_state("online", pid=worker.pid)
    return Probes.of(worker.pid)


@contextmanager
def _watched(consumer: Consumer, noticed: list[float], back: list[float]) -> Iterator[None]:
    """Measure how long after the block the worker says that it is degraded, and that it is online again."""
    known = len(consumer.statuses)
    began = time.monotonic()
    yield
    noticed.append(consumer.wait_state("degraded", after=known).at - began)
    known = next(n for n, said in enumerate(consumer.statuses) if n >= known and said.content["state"] == "degraded")
    back.append(consumer.wait_state("online", after=known).at - began)


def _require_unbroken(lab: Lab, consumer: Consumer, crashes: int) -> None:
    """Require that the connections stood all the time, and that the worker counted as we did."""
    stats = consumer.account()
    lab.require(all(link["epoch"] == 1 for link in stats["connections"]), "a connection to the broker was lost")
    counted = sum(process["crashes"] for process in stats["processes"])
    lab.require(counted == crashes, f"{crashes} ends of the model process, the worker counted {counted}")
    states = {said.content["state"] for said in consumer.statuses if not said.retained}
    lab.require("offline" not in states, "the status said offline")


ROWS: Final = (
    Row(
        name="model-killed",
        fault="model process killed at random instants",
        required="connections stand; `degraded`, then `online`; every frame answered once, by labels",
        run=partial(strike, signal.SIGKILL),
        short=8,
        full=50,
    ),
    Row(
        name="model-stopped",
        fault="model process stopped by SIGSTOP at random instants",
        required="connections stand; `degraded`, then `online`; every frame answered once, by labels",
        run=partial(strike, signal.SIGSTOP),
        short=4,
        full=50,
    ),
    Row(
        name="model-crashed",
        fault="a frame that crashes the model process; the worker killed between two crashes, or after them",
        required="quarantined after the second crash, also across restarts; other frames unharmed",
        run=crash,
        short=6,
        full=50,
    ),
)
