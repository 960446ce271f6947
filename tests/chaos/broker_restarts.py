"""The broker goes away in every way and comes back with or without what it knew, or was not there at first."""

from __future__ import annotations

import time
from itertools import chain, cycle, islice
from typing import TYPE_CHECKING, Final

from brokers import wait_until
from workers import START_S

from chaos.account import close_books
from chaos.camera import image
from chaos.probes import Probes, require_no_leak
from chaos.recovery import now, require_retained, wait_back
from chaos.row import Row
from chaos.times import p95, spread

if TYPE_CHECKING:
    from brokers import Mosquitto
    from workers import WorkerProcess

    from chaos.camera import Camera
    from chaos.consumer import Consumer
    from chaos.lab import Lab

RECOVERED_S: Final = 2.0
ABSENT_S: Final = 5.0
AT_ONCE: Final = 0.25
"""This share of restarts happens at once, so that the worker can hardly tell."""
TOGETHER_S: Final = 5.0
"""At most, between two faults: less than `reconnect.stable_s`, so that none of them finds a stable connection."""
BURST: Final = 8
SAVES_AT_ONCE: Final = ("autosave_on_changes true", "autosave_interval 1")
WAYS: Final = ("killed, remembers", "killed, forgot", "stopped, remembers", "stopped, forgot")


def restart(lab: Lab) -> None:
    """Kill or stop the broker, with or without its store, amid frames; measure how long until the worker is back."""
    broker = lab.running_broker(*SAVES_AT_ONCE)
    consumer = lab.consumer(broker.port)
    worker = lab.worker(broker.port).start()
    consumer.wait_state("online", pid=worker.pid)
    before = Probes.of(worker.pid)
    camera = lab.camera(broker.port, "door")
    seconds: dict[str, list[float]] = {way: [] for way in WAYS}
    for way in islice(cycle(WAYS), lab.times):
        _offer(camera)
        _wait_till_nothing_can_be_lost(broker, consumer, camera, way)
        seconds[way].append(_go_and_come(lab, broker, consumer, camera, way))
        require_retained(lab, broker.port)
        time.sleep(lab.random.uniform(0.0, TOGETHER_S))
    close_books(lab, consumer, [camera])
    for way, found in seconds.items():
        if found:
            lab.measure(way, spread(found))
    _require_soon(lab, list(chain.from_iterable(seconds.values())))
    _require_no_rival(lab, consumer)
    require_no_leak(lab, before, Probes.of(worker.pid))


def absent(lab: Lab) -> None:
    """Start the worker before there is a broker, again and again."""
    broker = lab.running_broker()
    consumer, camera = lab.consumer(broker.port), lab.camera(broker.port, "door")
    worker = lab.worker(broker.port).start()
    consumer.wait_state("online", pid=worker.pid)
    seconds = []
    for _ in range(lab.times):
        worker.kill()
        broker.stop()
        consumer.wait_cut_off()
        _start_without_broker(worker)
        time.sleep(lab.random.uniform(0.0, ABSENT_S))
        began = now()
        broker.start()
        seconds.append(wait_back(broker.port, began))
        require_retained(lab, broker.port)
        consumer.ready()
        _offer(camera)
        camera.wait_accepted()
        consumer.wait_answered(camera.name, camera.accepted)
    close_books(lab, consumer, [camera])
    _require_soon(lab, seconds)


def _offer(camera: Camera) -> None:
    for _ in range(BURST):
        camera.send(image(len(camera.offered)))


def _wait_till_nothing_can_be_lost(broker: Mosquitto, consumer: Consumer, camera: Camera, way: str) -> None:
    """Wait as long as this way would take frames with it that the broker alone knows of.

    A broker that forgets takes all of them; one that is killed, those it has not written to its store.
    """
    camera.wait_accepted()
    accepted = camera.accepted
    if way.endswith("forgot"):
        consumer.wait_answered(camera.name, accepted)
    elif way.startswith("killed"):
        newest = image(len(camera.offered) - 1)
        wait_until(
            lambda: newest in broker.store.read_bytes() or consumer.has_answered(camera.name, accepted[-1]),
            "the broker has saved the newest frame",
        )


def _go_and_come(lab: Lab, broker: Mosquitto, consumer: Consumer, camera: Camera, way: str) -> float:
    """Take the broker away in one of the WAYS and bring it back; returns the seconds until the worker was."""
    gone = now()
    (broker.kill if way.startswith("killed") else broker.stop)()
    consumer.wait_cut_off()
    if way.endswith("forgot"):
        broker.store.unlink()
    else:
        _offer(camera)
    if lab.random.random() > AT_ONCE:
        time.sleep(lab.random.uniform(0.0, ABSENT_S))
    broker.start()
    seconds = wait_back(broker.port, gone)
    consumer.ready()
    return seconds


def _start_without_broker(worker: WorkerProcess) -> None:
    """Start the worker and wait until the model is loaded and the broker missed."""
    known = worker.states().count("degraded")
    worker.start()
    wait_until(lambda: worker.states().count("degraded") > known, "the broker is missed", START_S)


def _require_soon(lab: Lab, seconds: list[float]) -> None:
    lab.measure("back after the broker listens", spread(seconds))
    lab.require(p95(seconds) <= RECOVERED_S, f"p95 of the recovery is {p95(seconds):.2f} s")


def _require_no_rival(lab: Lab, consumer: Consumer) -> None:
    """Require that a broker that comes and goes is not taken for another client with the worker's name."""
    takeovers = sum(link["takeovers"] for link in consumer.account()["connections"])
    lab.require(not takeovers, f"the worker suspects another client with its name, {takeovers} times")


ROWS: Final = (
    Row(
        name="broker-restarted",
        fault="broker killed or stopped, and restarted with or without its store",
        required=f"back with p95 ≤ {RECOVERED_S:g} s after the broker listens; status and model card retained again; "
        "nothing lost that the broker still knew",
        run=restart,
        short=8,
        full=60,
        alone=True,
    ),
    Row(
        name="broker-absent",
        fault="broker absent when the worker starts",
        required=f"online with p95 ≤ {RECOVERED_S:g} s after the broker listens; status and model card retained",
        run=absent,
        short=2,
        full=20,
        alone=True,
    ),
)
