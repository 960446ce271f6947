"""More cameras than the worker can serve, in ``latest`` mode: fair turns, fresh results, no memory."""

from __future__ import annotations

import json
import os
import time
from collections import Counter
from datetime import UTC, datetime
from threading import Event, Thread
from typing import TYPE_CHECKING, Final

import paho.mqtt.client as paho
from links import disconnect
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from chaos.account import identity_problems
from chaos.camera import image
from chaos.probes import Probes, require_no_leak
from chaos.row import Row
from chaos.slow_hook import slow_model
from chaos.times import spread

if TYPE_CHECKING:
    from typing import Self

    from chaos.consumer import Consumer
    from chaos.lab import Lab

CAMERAS: Final = tuple(f"camera-{number}" for number in range(8))
RATE: Final = 30.0
FRAME_S: Final = 0.17
"""That the model is held up for each frame; with its own work, about five frames a second come out."""
PICTURE_BYTES: Final = 40_000
WARM_UP_S: Final = 30.0
"""Longer than it takes to fill what the worker remembers of past frames."""
SHARE: Final = 0.10
GROWTH_MB: Final = 5.0


def run(lab: Lab) -> None:
    """Let every camera send 30 frames a second for a time; count what comes back, and how old it is."""
    broker = lab.running_broker()
    consumer = lab.consumer(broker.port)
    environment, live = slow_model(lab.place("hook"), FRAME_S), [{"topic": "cameras/{camera}/frame"}]
    worker = lab.worker(broker.port, cameras=live, cache={"max_mb": 0}, environment=environment).start()
    consumer.wait_state("online", pid=worker.pid)
    with Crowd(broker.port) as crowd, Results(broker.port) as results:
        time.sleep(WARM_UP_S)
        before = Probes.of(worker.pid), Probes.of(worker.model_pid())
        results.begin()
        time.sleep(lab.times)
        counts, ages = results.end()
        after = Probes.of(worker.pid), Probes.of(worker.model_pid())
    _require_fair(lab, counts)
    _require_fresh(lab, ages, frame_s=lab.times / max(1, sum(counts.values())))
    _require_accounted(lab, consumer, crowd.sent)
    require_no_leak(lab, before[0], after[0])
    _require_flat(lab, *zip(before, after, strict=True))


def _require_fair(lab: Lab, counts: Counter[str]) -> None:
    fair = sum(counts.values()) / len(CAMERAS)
    unfair = max(abs(counts[camera] - fair) for camera in CAMERAS) / max(fair, 1.0)
    lab.require(unfair <= SHARE, f"a camera is {unfair:.0%} off its share: {dict(counts)}")
    lab.measure("frames answered", sum(counts.values()))
    lab.measure("farthest from its fair share", f"{unfair:.1%}")


def _require_fresh(lab: Lab, ages: list[float], frame_s: float) -> None:
    """Require ages (capture to arrival at the consumer) of at most twice the time of a round."""
    limit = 2 * frame_s * len(CAMERAS)
    lab.require(max(ages) <= limit, f"a result was {max(ages):.2f} s old; allowed: {limit:.2f}")
    lab.measure("frames a second", 1 / frame_s)
    lab.measure(f"age at the consumer (allowed {limit:.2f} s)", spread(ages))


def _require_flat(lab: Lab, *processes: tuple[Probes, Probes]) -> None:
    grown = [after.rss_mb - before.rss_mb for before, after in processes]
    lab.require(max(grown) <= GROWTH_MB, f"memory grew by {max(grown):.1f} MB")
    lab.measure("memory grown, worker and model process", ", ".join(f"{growth:+.1f} MB" for growth in grown))


def _require_accounted(lab: Lab, consumer: Consumer, sent: Counter[str]) -> None:
    """Require exact counts, and no more received than sent: the broker may drop what a busy client does not read."""
    cameras = consumer.account()["cameras"]
    for said in consumer.stats:
        for problem in identity_problems(said.content):
            lab.require(False, problem)
    lab.count("stats messages that add up", len(consumer.stats))
    received = {camera: cameras[camera]["received"] for camera in CAMERAS}
    for camera, count in received.items():
        lab.require(count <= sent[camera], f"{camera}: {sent[camera]} frames sent, {count} received")
    lab.measure("frames offered", sum(sent.values()))
    lab.measure("of them received", sum(received.values()))


def _client(port: int, name: str) -> paho.Client:
    client = paho.Client(CallbackAPIVersion.VERSION2, client_id=name, protocol=MQTTProtocolVersion.MQTTv5)
    client.connect("127.0.0.1", port)
    client.loop_start()
    return client


class Crowd:
    """Cameras on one connection, each publishing *RATE* frames a second in QoS 0, with the time of capture."""

    def __init__(self, port: int) -> None:
        """Connect."""
        self.sent: Counter[str] = Counter()
        self._paho = _client(port, "crowd")
        self._stop = Event()
        self._thread = Thread(target=self._run, daemon=True)

    def _run(self) -> None:
        began, rounds = time.monotonic(), 0
        while not self._stop.wait(max(0.0, began + rounds / RATE - time.monotonic())):
            payload = image(rounds) + os.urandom(16) * (PICTURE_BYTES // 16)
            for camera in CAMERAS:
                properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
                properties.UserProperty = [("captured-at", datetime.now(UTC).isoformat())]
                self._paho.publish(f"cameras/{camera}/frame", payload, qos=0, properties=properties)
                self.sent[camera] += 1
            rounds += 1

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        disconnect(self._paho)


class Results:
    """Counts labels by camera, and how long after capture they came."""

    def __init__(self, port: int) -> None:
        """Subscribe."""
        self._counts: Counter[str] = Counter()
        self._ages: list[float] = []
        self._paho = _client(port, "results")
        self._paho.on_message = lambda _client, _data, message: self._take(message)
        self._paho.subscribe("parsing/+/labels", 1)

    def _take(self, message: paho.MQTTMessage) -> None:
        labels = json.loads(message.payload)
        self._counts[labels["camera"]] += 1
        captured = datetime.fromisoformat(labels["captured_at"])
        self._ages.append(time.time() - captured.timestamp())

    def begin(self) -> None:
        """Forget what came so far."""
        self._counts, self._ages = Counter(), []

    def end(self) -> tuple[Counter[str], list[float]]:
        """Tell counts and ages since the beginning."""
        return self._counts, self._ages

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        disconnect(self._paho)


ROWS: Final = (
    Row(
        name="eight-cameras",
        fault="8 cameras × 30 frames/s, `latest` mode, a worker that manages about 5 frames/s",
        required="each camera within ±10 % of its share; age at most 2 × (frame time × cameras); memory flat",
        run=run,
        short=60,
        full=600,
        unit="seconds",
        alone=True,
    ),
)
