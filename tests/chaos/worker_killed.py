"""The worker is killed again and again while frames keep coming."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from chaos.account import close_books
from chaos.camera import Traffic
from chaos.row import Row

if TYPE_CHECKING:
    from workers import WorkerProcess

    from chaos.consumer import Consumer
    from chaos.lab import Lab

RATE: Final = 20.0
STARTING_S: Final = 3.0
"""A start takes about as long; one kill in four comes within it."""
WORKING_S: Final = 3.0
"""At most, from `online` to the next kill; one in four comes then."""
FRAMES_S: Final = 0.03
"""At most, from an answer to the next kill: a few frames. Half of the kills come so, in the midst of work."""
CAMERAS: Final = (
    {"topic": "cameras/{camera}/frame", "delivery": "every"},
    {"topic": "gates/{camera}/frame", "delivery": "every", "prefetch": 8},
)


def run(lab: Lab) -> None:
    """Kill at random instants, from before the connection to mid-frame; then let all be answered."""
    broker = lab.running_broker()
    consumer = lab.consumer(broker.port)
    worker = lab.worker(broker.port, cameras=[*CAMERAS]).start()
    consumer.wait_state("online")  # from now on the broker keeps frames for it
    worker.kill()
    cameras = [
        lab.camera(broker.port, "door"),
        lab.camera(broker.port, "yard", sender_ids=False),
        lab.camera(broker.port, "gate", topic="gates/{camera}/frame"),
    ]
    unborn = 0
    with Traffic(cameras, lab.random, RATE):
        for _ in range(lab.times):
            worker.start()
            unborn += not _reach_a_random_instant(lab, worker, consumer)
            worker.kill()
        consumer.wait_state("online", pid=worker.start().pid)
        asked = time.monotonic()
        consumer.account()
        lab.measure("`stats` answered amid the backlog", f"after {time.monotonic() - asked:.2f} s")
    accounts = close_books(lab, consumer, cameras)
    lab.require(not any(account.errors for account in accounts.values()), "a frame was answered by an error")
    lab.measure("killed before it was online", unborn)


def _reach_a_random_instant(lab: Lab, worker: WorkerProcess, consumer: Consumer) -> bool:
    """Wait for the instant of the next kill; returns whether the worker was online by then."""
    known, chance = len(consumer.statuses), lab.random.random()
    if chance < 0.25:
        time.sleep(lab.random.uniform(0.0, STARTING_S))
        return any(said.content["state"] == "online" for said in consumer.statuses[known:])
    consumer.wait_state("online", pid=worker.pid, after=known)
    if chance < 0.5:
        time.sleep(lab.random.uniform(0.0, WORKING_S))
    else:
        consumer.wait_result()
        time.sleep(lab.random.uniform(0.0, FRAMES_S))
    return True


ROWS: Final = (
    Row(
        name="worker-killed",
        fault="worker killed at random instants, `every` mode, bursts of 20 frames/s",
        required="every accepted frame answered; repeated answers have the same id",
        run=run,
        short=8,
        full=100,
    ),
)
