"""Whoever takes the results is slower than the worker, or takes only small ones; frames keep coming."""

from __future__ import annotations

import signal
import subprocess
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import cv2
import numpy as np
from brokers import Proxy
from links import Client

from chaos.account import close_books
from chaos.camera import Traffic
from chaos.probes import Probes, require_no_leak
from chaos.row import Row

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from brokers import Mosquitto
    from workers import WorkerProcess

    from chaos.consumer import Consumer
    from chaos.lab import Lab

WITH_OVERLAY: Final[Mapping[str, Any]] = {"overlay": {"enabled": True}}
RATE: Final = 10.0
WARM_UP_S: Final = 5.0
GROWTH_MB: Final = 15.0
"""Of the worker: results on their way, and what allocators keep."""
BYTES_PER_S: Final = 100_000
FRAMES: Final = 8


def stop_a_consumer(lab: Lab) -> None:
    """Stop a process that has subscribed to all results, while another consumer takes them."""
    broker = lab.running_broker()
    consumer = lab.consumer(broker.port)
    worker = lab.worker(broker.port, output=WITH_OVERLAY).start()
    consumer.wait_state("online", pid=worker.pid)
    cameras = [lab.camera(broker.port, "door"), lab.camera(broker.port, "yard")]
    with _subscriber(broker) as subscriber, Traffic(cameras, lab.random, RATE, _photo):
        time.sleep(WARM_UP_S)
        before = Probes.of(worker.pid)
        subscriber.send_signal(signal.SIGSTOP)
        peak = _peak_mb(worker, lab.times)
        subscriber.send_signal(signal.SIGCONT)
    close_books(lab, consumer, cameras)
    require_no_leak(lab, before, Probes.of(worker.pid))
    _require_bounded(lab, before, peak, GROWTH_MB)


def starve(lab: Lab) -> None:
    """Let the network to the broker carry a fraction of the results of live frames; others must not be lost."""
    broker = lab.running_broker()
    consumer = lab.consumer(broker.port)
    with Proxy(broker.port) as proxy:
        sections = [
            {"topic": "cameras/{camera}/frame", "delivery": "every"},
            {"topic": "live/{camera}/frame", "outputs": WITH_OVERLAY},
        ]
        worker = lab.worker(proxy.port, cameras=sections).start()
        consumer.wait_state("online", pid=worker.pid)
        door = lab.camera(broker.port, "door")
        live = lab.camera(broker.port, "live", topic="live/{camera}/frame")
        with Traffic([live], lab.random, 2 * RATE, lambda _: _photo(0)), Traffic([door], lab.random, 1.0):
            time.sleep(WARM_UP_S)
            before = Probes.of(worker.pid)
            proxy.bytes_per_s = BYTES_PER_S
            peak = _peak_mb(worker, lab.times)
        stats = consumer.account()
        proxy.bytes_per_s = float("inf")
        close_books(lab, consumer, [door])
    lab.require([link["epoch"] for link in stats["connections"]] == [1, 1], "a slow connection was given up")
    superseded = stats["cameras"]["live"]["dropped"].get("superseded", 0)
    lab.require(superseded > lab.times, "the network was not too slow for the results")
    _require_bounded(lab, before, peak, GROWTH_MB)
    lab.measure("live frames superseded", superseded)
    lab.measure("live frames answered", stats["cameras"]["live"]["processed"])


def _require_bounded(lab: Lab, before: Probes, peak_mb: float, growth_mb: float) -> None:
    grown = peak_mb - before.rss_mb
    lab.require(grown <= growth_mb, f"the worker's memory grew by {grown:.0f} MB; allowed: {growth_mb:g}")
    lab.measure("worker's memory at its highest", f"{before.rss_mb:.0f} → {peak_mb:.0f} MB")


def _peak_mb(worker: WorkerProcess, seconds: float) -> float:
    """Watch the worker for a time; returns its resident memory at its highest."""
    until, peak = time.monotonic() + seconds, 0.0
    while time.monotonic() < until:
        peak = max(peak, Probes.of(worker.pid).rss_mb)
        time.sleep(0.2)
    return peak


@contextmanager
def _subscriber(broker: Mosquitto) -> Iterator[subprocess.Popen[bytes]]:
    """Subscribe to everything with a client of another kind, which ends with the block."""
    command = ["mosquitto_sub", "-p", str(broker.port), "-i", "slow", "-c", "-q", "1", "-t", "parsing/#"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        try:
            yield process
        finally:
            process.kill()


# -- a broker that takes only small packets ----------------------------------------------------------------------------


class Case(NamedTuple):
    """A limit of the broker, images whose results are around it, and what must become of each frame.

    The image itself must be below the limit, and so must what the worker says of itself: about 1800 bytes.
    ``error`` by protocol: closing the connection, 3.1.1 says nothing of size, and the topic could be forbidden as well.
    """

    limit: int
    width: int
    height: int
    overlays: bool
    error: Mapping[str, str]


CASES: Final = (
    Case(20_000, 640, 480, overlays=True, error={}),
    Case(3_000, 96, 64, overlays=False, error={}),
    Case(2_200, 480, 360, overlays=False, error={"5": "too_big", "3.1.1": "refused"}),
)


def shrink(lab: Lab) -> None:
    """Let the broker take less and less, in both protocols: MQTT 5 says so beforehand, 3.1.1 closes the connection."""
    for protocol in ("5", "3.1.1"):
        for case in CASES:
            _shrink(lab, protocol, case)


def _shrink(lab: Lab, protocol: str, case: Case) -> None:
    where = f"MQTT {protocol}, {case.limit} bytes"
    broker = lab.running_broker(f"max_packet_size {case.limit}")
    consumer = lab.consumer(broker.port)
    mqtt = {"protocol": protocol, "reconnect": {"max_s": 1.0, "stable_s": 1.0}}
    worker = lab.worker(broker.port, mqtt=mqtt, output=WITH_OVERLAY).start()
    camera = lab.camera(broker.port, "door", sender_ids=False)
    with Client(broker.port, "parsing/+/overlay") as overlays:
        consumer.wait_state("online", pid=worker.pid)
        for number in range(lab.times):
            consumer.wait_answered("door", [camera.send(_flat(number, case.width, case.height))])
        account = close_books(lab, consumer, [camera])["door"]
        sizes = [len(message.payload) for message in overlays.messages]
    answers = account.errors.get(case.error[protocol], 0) if case.error else account.labelled
    lab.require(answers == account.accepted, f"{where}: {account}")
    lab.require(bool(sizes) == case.overlays, f"{where}: {len(sizes)} overlays")
    _require_peace(lab, consumer, where)
    worker.signal(signal.SIGTERM)
    worker.wait()


def _require_peace(lab: Lab, consumer: Consumer, where: str) -> None:
    """Require that nothing is tried again and again: queues are empty, and connections stand."""
    earlier = {link["name"]: link["epoch"] for link in consumer.account()["connections"]}
    time.sleep(WARM_UP_S)
    later = consumer.account()["connections"]
    lab.require({link["name"]: link["epoch"] for link in later} == earlier, f"{where}: connections come and go")
    lab.require(not any(link["queued"] for link in later), f"{where}: something is tried for ever")
    lab.measure(f"connections ({where})", max(earlier.values()))


def _photo(number: int) -> bytes:
    """Draw an image whose overlay is some 50 kB; a few, so that results come from the cache as fast as they may."""
    return _flat(number % FRAMES, 640, 480)


def _flat(number: int, width: int, height: int) -> bytes:
    """Draw an image that makes a small file, and a large overlay."""
    pixels = np.full((height, width, 3), 200, np.uint8)
    pixels[:, : width // 2] = (30, 60, number % 256)
    pixels[::16] = 0
    return cv2.imencode(".png", pixels, [cv2.IMWRITE_PNG_COMPRESSION, 9])[1].tobytes()


ROWS: Final = (
    Row(
        name="consumer-stopped",
        fault="a consumer stopped by SIGSTOP, 10 frames/s with overlays",
        required=f"memory grows by {GROWTH_MB:g} MB at most; another consumer gets every answer",
        run=stop_a_consumer,
        short=15,
        full=120,
        unit="seconds",
    ),
    Row(
        name="broker-slow",
        fault=f"network carries {BYTES_PER_S // 1000} kB/s, a tenth of the live results",
        required=f"memory grows by {GROWTH_MB:g} MB at most; connections stand; live frames superseded before they are "
        "parsed; every frame of `every` answered",
        run=starve,
        short=40,
        full=300,
        unit="seconds",
    ),
    Row(
        name="broker-small-packets",
        fault=f"broker with `max_packet_size` {', '.join(str(case.limit) for case in CASES)}; MQTT 5 and 3.1.1",
        required="overlay made smaller, then left out, then an error; no endless retries",
        run=shrink,
        short=4,
        full=20,
        unit="frames each",
    ),
)
