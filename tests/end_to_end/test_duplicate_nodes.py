"""Two whole workers with one node id on a real broker, as from one disk image on two boxes."""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest
from brokers import wait_until
from links import Client
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from workers import IMAGE, START_S, WorkerProcess

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from brokers import Mosquitto

pytestmark = pytest.mark.mosquitto

CAMERAS = [f"camera-{number}" for number in range(6)]
SPLIT = [{"topic": "cameras/{camera}/frame", "delivery": "every", "split": {"group": "g"}}]


@pytest.fixture
def twins(tmp_path: Path, mosquitto: Mosquitto) -> Iterator[list[WorkerProcess]]:
    """Two workers of one group with the same node id, of which each has a client id of its own; started."""
    workers = []
    for client_id in ("one", "two"):
        directory = tmp_path / client_id
        directory.mkdir()
        mqtt = {"host": "127.0.0.1", "port": mosquitto.port, "client_id": client_id, "will_delay_s": 0}
        model = {"path": "builtin:seeded", "short_side": 32, "engine": "onnxruntime"}
        settings = {"cameras": SPLIT, "mqtt": mqtt, "model": model}
        workers.append(WorkerProcess(directory, mosquitto.port, settings).start())
    yield workers
    for worker in workers:
        worker.__exit__(None, None, None)


def reached(worker: WorkerProcess, state: str, reason: str) -> list[dict[str, Any]]:
    """The log lines of *worker* that tell that it came to *state* because of *reason*."""
    lines = [line for line in worker.log() if line["event"] == "state"] if worker.log_file.exists() else []
    return [line for line in lines if (line["new"], line["reason"]) == (state, reason)]


def offer(camera: Client, number: int) -> set[str]:
    """Have each camera send a frame; returns their ids."""
    for name in CAMERAS:
        properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
        properties.UserProperty = [("frame-id", f"{name}-{number}")]
        camera.publish(f"cameras/{name}/frame", IMAGE.read_bytes(), properties=properties)
    return {f"{name}-{number}" for name in CAMERAS}


def answers(consumer: Client) -> Counter[str]:
    """How often each frame was answered."""
    return Counter(json.loads(message.payload)["frame_id"] for message in consumer.messages)


def test_one_of_two_workers_with_one_node_id_is_on_standby_as_long_as_the_other_runs(
    mosquitto: Mosquitto, twins: list[WorkerProcess]
) -> None:
    """No frame is answered twice, and none by nobody; both tell of the other and of the key."""
    with Client(mosquitto.port, "parsing/+/labels") as consumer, Client(mosquitto.port) as camera:
        wait_until(lambda: any(reached(one, "degraded", "contested") for one in twins), "one is on standby", START_S)
        wait_until(lambda: any(reached(one, "online", "contested") for one in twins), "one goes on", START_S)
        aside, on = sorted(twins, key=lambda one: not reached(one, "degraded", "contested"))
        for worker, other in ((aside, on), (on, aside)):
            [line, *_] = reached(worker, "degraded" if worker is aside else "online", "contested")
            assert f"pid {other.pid}" in line["detail"]
            assert "node.id" in line["detail"]
        first = offer(camera, 1)
        wait_until(lambda: first <= {*answers(consumer)}, "the first frames are answered", START_S)
        second = offer(camera, 2)
        wait_until(lambda: second <= {*answers(consumer)}, "the second frames are answered", START_S)
        assert {answers(consumer)[frame] for frame in first} == {1}
        on.kill()  # a frame that it has answered but not yet acknowledged may be answered again
        third = offer(camera, 3)
        wait_until(lambda: third <= {*answers(consumer)}, "the other takes over", START_S)
        wait_until(lambda: aside.states()[-1] == "online", "and says so")
        assert {answers(consumer)[frame] for frame in third} == {1}
