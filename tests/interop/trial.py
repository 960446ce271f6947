"""One broker: frames in `every` while it restarts, and what it can do besides."""

from __future__ import annotations

import json
import threading
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import paho.mqtt.client as paho
from brokers import wait_until
from links import disconnect
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from workers import IMAGE, WorkerProcess

from edge_worker.config import Config
from edge_worker.frames.frame import content_id
from edge_worker.imaging import png
from edge_worker.mqtt.probe import probe

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path
    from typing import Self

    from interop.servers import Server

RECEIPT_S: Final = 60.0  # for the broker to have a frame, its restart included
QUIET_S: Final = 45.0
"""A broker that forgot frames sends no more; so long without an answer is the end."""

_EVERY: Final = {"topic": "cameras/{camera}/frame", "delivery": "every"}
_STATUS: Final = "edge-worker/box/status"


@dataclass(frozen=True)
class Outcome:
    """A row of the table; None: not found out, for the reason that ``remark`` gives."""

    broker: str
    version: str
    answered: int
    frames: int
    remark: str
    mqtt: str | None = None
    shared: bool | None = None
    retained: bool | None = None
    dots: bool | None = None


class _Client:
    """A client with a session that outlives the broker's restart, in the version that every broker here knows."""

    def __init__(self, port: int, name: str, *filters: str) -> None:
        self.messages: list[paho.MQTTMessage] = []
        self._subscribed = threading.Event()
        self._paho = paho.Client(
            CallbackAPIVersion.VERSION2, name, clean_session=False, protocol=MQTTProtocolVersion.MQTTv311
        )
        self._paho.on_message = lambda _client, _data, message: self.messages.append(message)
        self._paho.on_connect = lambda client, *_: client.subscribe([(one, 1) for one in filters]) if filters else None
        self._paho.on_subscribe = lambda *_: self._subscribed.set()
        self._paho.reconnect_delay_set(1, 1)
        self._paho.connect("127.0.0.1", port)
        self._paho.loop_start()
        assert not filters or self._subscribed.wait(RECEIPT_S)

    def publish(self, topic: str, payload: bytes) -> None:
        """Publish in QoS 1, and wait until the broker has it; paho sends it again after a reconnect."""
        message = self._paho.publish(topic, payload, 1)
        wait_until(lambda: _is_published(message), f"a frame for {topic} is taken", RECEIPT_S)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        disconnect(self._paho)


def run(server: Server, directory: Path, count: int) -> Outcome:
    """Send *count* frames to a worker on *server*, which restarts in the middle; both end.

    Raises:
        AssertionError: the broker does not start, or takes no frame; or the worker is not online in time.
    """
    directory.mkdir(parents=True, exist_ok=True)
    payload = IMAGE.read_bytes()
    frames = [png.with_text(payload, {"number": str(number)}) for number in range(count)]
    with server, WorkerProcess(directory, server.port, {"cameras": [_EVERY]}) as worker:
        shared = _can(server.port, "box", {**_EVERY, "share_group": "parsers"})
        dots = _can(server.port, "box.local", _EVERY)
        worker.ready()
        with _Client(server.port, "interop-consumer", "parsing/+/labels", _STATUS) as consumer:
            retained = _has_retained(consumer)
            answered = _answered_over_a_restart(server, consumer, frames)
        version = next(line["protocol"] for line in worker.log() if line["event"] == "link: connected")
    return Outcome(server.name, server.version(), answered, count, server.remark, version, shared, retained, dots)


def _answered_over_a_restart(server: Server, consumer: _Client, frames: Sequence[bytes]) -> int:
    wanted = {content_id("door", frame) for frame in frames}

    def seen() -> set[str]:
        labels = [message for message in consumer.messages if message.topic.endswith("/labels")]
        return wanted & {json.loads(message.payload)["frame_id"] for message in labels}

    with _Client(server.port, "interop-camera") as camera:
        for number, frame in enumerate(frames):
            if number == len(frames) // 2:
                server.stop()
                server.start()
            camera.publish("cameras/door/frame", frame)
        _until_quiet(lambda: len(seen()), len(frames))
    return len(seen())


def _until_quiet(count: Callable[[], int], enough: int) -> None:
    """Wait until *count* gives *enough*, or the same number for a while."""
    last = -1

    def has_more() -> bool:
        return count() > last

    with suppress(AssertionError):
        while last < enough:
            wait_until(has_more, "another answer", QUIET_S)
            last = count()


def _has_retained(consumer: _Client) -> bool:
    try:
        wait_until(lambda: any(one.topic == _STATUS and one.retain for one in consumer.messages), "the status")
    except AssertionError:
        return False
    return True


def _can(port: int, node: str, camera: Mapping[str, object]) -> bool:
    """Whether all that ``check --connect`` tries works."""
    mqtt = {"host": "127.0.0.1", "port": port, "connack_timeout_s": 3.0, "reconnect": {"min_s": 0.1}}
    config = Config.model_validate({"node": {"id": node}, "mqtt": mqtt, "cameras": (camera,)})
    return all(finding.ok for finding in probe(config, {}))


def _is_published(message: paho.MQTTMessageInfo) -> bool:
    try:
        return message.is_published()
    except RuntimeError:  # published while there was no connection: paho sends it later, and never says so
        return message.rc == paho.MQTT_ERR_NO_CONN and message._published
