"""The way to the broker fails: it hangs, swallows, cuts in the middle of packets, or crawls; frames keep coming."""

from __future__ import annotations

import math
import time
from contextlib import closing
from typing import TYPE_CHECKING, Final

from brokers import Proxy

from chaos.account import close_books
from chaos.camera import Traffic, image
from chaos.probes import Probes, require_no_leak
from chaos.row import Row
from chaos.tail import Tail
from chaos.times import spread

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from brokers import Mosquitto

    from chaos.camera import Camera
    from chaos.consumer import Consumer
    from chaos.lab import Lab

LINKS: Final = {"control", "every"}
RATE: Final = 5.0
KEEPALIVE_S: Final = 5
MQTT: Final[Mapping[str, object]] = {"keepalive_s": KEEPALIVE_S, "reconnect": {"stable_s": 1.0}}
NOTICED_S: Final = 1.5 * KEEPALIVE_S
TIMEOUT_S: Final = 60.0
CARRIES_BYTES: Final = 1_500_000
"""What a connection carries at most before it is reset: some frames, and part of one."""
LARGE_BYTES: Final = 60_000
DELAY_S: Final = 0.3


def freeze(lab: Lab) -> None:
    """Stop the broker's process, and let it go on once the worker has noticed."""
    broker = lab.running_broker()
    _hang(lab, broker, broker.port, lambda on: broker.freeze() if on else broker.thaw())


def swallow(lab: Lab) -> None:
    """Let connections stand and everything on them vanish, until the worker has noticed."""
    broker = lab.running_broker()
    with Proxy(broker.port) as proxy:
        _hang(lab, broker, proxy.port, proxy.swallow)


def _hang(lab: Lab, broker: Mosquitto, port: int, fault: Callable[[bool], None]) -> None:
    """Turn the *fault* on until both connections of the worker on *port* are given up, then off, again and again."""
    consumer = lab.consumer(broker.port)
    worker = lab.worker(port, mqtt=MQTT).start()
    consumer.wait_state("online", pid=worker.pid)
    before = Probes.of(worker.pid)
    cameras = _cameras(lab, broker)
    noticed, back = [], []
    with Traffic(cameras, lab.random, RATE), closing(Tail(worker)) as tail:
        for _ in range(lab.times):
            time.sleep(lab.random.uniform(0.0, KEEPALIVE_S))
            noticed.append(_until(lambda: fault(True), tail, "link: disconnected"))
            back.append(_until(lambda: fault(False), tail, "link: subscribed"))
    _close_books(lab, consumer, cameras)
    require_no_leak(lab, before, Probes.of(worker.pid))
    lab.require(max(noticed) <= NOTICED_S, f"noticed only after {max(noticed):.2f} s; required: {NOTICED_S:g}")
    lab.measure(f"noticed (keepalive {KEEPALIVE_S} s)", spread(noticed))
    lab.measure("subscribed again", spread(back))


def _until(act: Callable[[], None], tail: Tail, event: str) -> float:
    """Act, and wait until both connections report *event*; returns the seconds it took."""
    began = time.monotonic()
    act()
    return tail.wait_links(event, LINKS, TIMEOUT_S) - began


def cut(lab: Lab) -> None:
    """Reset every connection after a random number of bytes, until there were so many resets."""
    broker = lab.running_broker()
    consumer = lab.consumer(broker.port)
    with Proxy(broker.port) as proxy:
        worker = lab.worker(proxy.port, mqtt={**MQTT, "reconnect": {"max_s": 2.0, "stable_s": 1.0}}).start()
        consumer.wait_state("online", pid=worker.pid)
        before = Probes.of(worker.pid)
        cameras = _cameras(lab, broker)
        proxy.allowance = lambda: lab.random.uniform(0, CARRIES_BYTES)
        proxy.cut()
        with Traffic(cameras, lab.random, 2 * RATE, _large):
            while proxy.connections < lab.times:
                time.sleep(0.1)
        connections = proxy.connections
        proxy.allowance = lambda: math.inf
        with closing(Tail(worker)) as tail:
            _until(proxy.cut, tail, "link: subscribed")  # a worker that is away cannot be asked for its account
        _close_books(lab, consumer, cameras)
        require_no_leak(lab, before, Probes.of(worker.pid))
    lab.measure("connections cut", connections - 1)


def delay(lab: Lab) -> None:
    """Hold every piece up for a time that changes all the while: slow is not dead."""
    broker = lab.running_broker()
    consumer = lab.consumer(broker.port)
    with Proxy(broker.port) as proxy:
        worker = lab.worker(proxy.port, mqtt=MQTT).start()
        consumer.wait_state("online", pid=worker.pid)
        cameras = _cameras(lab, broker)
        until = time.monotonic() + lab.times
        with Traffic(cameras, lab.random, RATE):
            while time.monotonic() < until:
                proxy.delay_s = lab.random.uniform(0.0, DELAY_S)
                time.sleep(1.0)
        proxy.delay_s = 0.0
        _close_books(lab, consumer, cameras)
        epochs = [link["epoch"] for link in consumer.account()["connections"]]
    lab.require(epochs == [1, 1], f"a slow connection was given up: {epochs} connections")


def _cameras(lab: Lab, broker: Mosquitto) -> list[Camera]:
    """A sender that names its frames, and one that does not; both know nothing of the bad network."""
    return [lab.camera(broker.port, "door"), lab.camera(broker.port, "yard", sender_ids=False)]


def _close_books(lab: Lab, consumer: Consumer, cameras: Sequence[Camera]) -> None:
    accounts = close_books(lab, consumer, cameras)
    lab.require(not any(account.errors for account in accounts.values()), "a frame was answered by an error")


def _large(number: int) -> bytes:
    """Draw an image that is many packets long; decoders do not look at what comes after its end."""
    return image(number) + bytes(LARGE_BYTES)


ROWS: Final = (
    Row(
        name="broker-frozen",
        fault="broker stopped by SIGSTOP at random instants, and continued",
        required="noticed within 1.5 × keepalive; every frame answered, by labels",
        run=freeze,
        short=2,
        full=20,
        alone=True,
    ),
    Row(
        name="network-swallows",
        fault="network swallows everything; connections stand",
        required="noticed within 1.5 × keepalive; every frame answered, by labels",
        run=swallow,
        short=2,
        full=20,
        alone=True,
    ),
    Row(
        name="network-cuts",
        fault="network resets each connection after a random number of bytes",
        required="every frame answered, by labels",
        run=cut,
        short=20,
        full=200,
        unit="connections",
    ),
    Row(
        name="network-delays",
        fault=f"network delays of up to {DELAY_S:g} s",
        required="connections stand; every frame answered, by labels",
        run=delay,
        short=15,
        full=120,
        unit="seconds",
    ),
)
