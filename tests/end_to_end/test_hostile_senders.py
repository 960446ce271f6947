"""The whole worker and senders who mean no good: names, topics, properties and commands as nobody should send them."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, Final

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

NAMES: Final = (
    *("..", ".", " ", "", "~", "%2e%2e%2f", "$SYS", "$share", "{camera}", "-rf", "'; DROP TABLE", "a" * 60_000),
    *("\u202egate", "カメラ", "\U0001f4f7", "e\u0301", "\ufeff", "a\u00a0b", "\u2028", "x" * 128, "y" * 129),
)
"""Levels of a topic that brokers pass on."""
IDS: Final = ("", "x" * 60_000, "../../etc/passwd", "a\u2028b", '"}, {"', "\u202e", "null", "a\ufeffb")
FLOOD: Final = [("", "")] * 30_000
"""Of user properties: paho takes seconds to read them, and a message that takes too long comes again and again."""
CONFIG: Final = {
    "cameras": [{"topic": "cameras/{camera}/frame", "delivery": "every"}],
    "commands": {"response_prefix": "replies/"},
}


@pytest.fixture
def worker(mosquitto: Mosquitto, tmp_path: Path) -> Iterator[WorkerProcess]:
    """Online, answering commands under ``replies/`` if asked to."""
    with Client(mosquitto.port) as client:
        client.publish("edge-worker/box/request/restart", b"{}", retain=True)
    (tmp_path / "worker").mkdir()
    with WorkerProcess(tmp_path / "worker", mosquitto.port, CONFIG) as worker:
        yield worker.ready()


def properties(**fields: Any) -> Properties:  # noqa: ANN401 - of PUBLISH
    made = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
    for name, value in fields.items():
        setattr(made, name, value)
    return made


@pytest.mark.mosquitto
def test_each_frame_is_answered_whatever_it_is_called(
    mosquitto: Mosquitto, worker: WorkerProcess, tmp_path: Path
) -> None:
    """Once, on a topic of one level that is its own; and no name becomes a file."""
    before = files(tmp_path)
    with Client(mosquitto.port, "parsing/#", "edge-worker/box/response/stats") as client:
        for name in NAMES:
            client.publish(f"cameras/{name}/frame", b"no image")
        for frame_id in IDS:
            extra = properties(UserProperty=[("frame-id", frame_id), ("captured-at", frame_id), (frame_id, frame_id)])
            client.publish("cameras/door/frame", f"no image of {frame_id[:99]}".encode(), properties=extra)
        client.publish("cameras/door/frame", b"no image", properties=properties(UserProperty=FLOOD))
        answers = client.wait_for(len(NAMES) + len(IDS) + 1, START_S)
        client.publish("edge-worker/box/request/stats")
        (*answers, stats) = client.wait_for(len(answers) + 1)
    topics = [answer.topic for answer in answers]
    assert all(re.fullmatch(r"parsing/[^/+#\0]{0,128}/error", topic) for topic in topics)
    assert len(set(topics)) == len(NAMES) + 1
    assert {json.loads(answer.payload)["reason"] for answer in answers} == {"unsupported"}
    total = json.loads(stats.payload)["data"]["total"]
    assert total["received"] == total["rejected"]["unsupported"] == len(answers)
    assert worker.states()[-1] == "online"
    assert files(tmp_path) == before


@pytest.mark.mosquitto
def test_commands_reach_no_further_than_they_should(mosquitto: Mosquitto, worker: WorkerProcess) -> None:
    """A retained one is ignored, answers go only where the configuration allows, any payload gets an answer."""
    payloads = [
        b"",
        b"{",
        b"\xff",
        b"[" * 100_000,
        b'{"camera": "' + b"x" * 60_000 + b'"}',
        b'{"transaction": {"a": 1}}',
    ]
    asked = ["elsewhere/me", "replies/me", "replies2/me", "$SYS/me", "replies/../../x", "cameras/door/frame"]
    model = worker.model_pid()
    with Client(mosquitto.port, "#") as client:
        for payload in payloads:
            client.publish("edge-worker/box/request/pause", payload)
        for topic in asked:
            extra = properties(ResponseTopic=topic, CorrelationData=b"\0" * 60_000)
            client.publish("edge-worker/box/request/ping", b"{}", properties=extra)
        client.publish("edge-worker/box/request/a/b", b"{}")
        client.publish("edge-worker/box/request/resume", b"{}")
        client.publish("cameras/door/frame", IMAGE.read_bytes())
        wait_until(lambda: count(client, "parsing/door/labels"), "the next frame is answered", START_S)
        wait_until(lambda: count(client, "edge-worker/box/response/resume"), "all commands are answered")
        assert count(client, "edge-worker/box/response/pause") == len(payloads)
        assert count(client, "edge-worker/box/response/ping") == 4
        assert [message.topic for message in client.messages if message.topic.startswith("replies")] == asked[1:5:3]
        assert count(client, "cameras/door/frame") == 1
    assert worker.model_pid() == model
    assert worker.states()[-1] == "online"


def count(client: Client, topic: str) -> int:
    """How many messages came on a topic."""
    return sum(message.topic == topic for message in client.messages)


def files(directory: Path) -> set[str]:
    """Everything that stands in the worker's directories but compiled networks, of which there may be more."""
    return {str(path) for path in directory.rglob("*") if path.suffix != ".blob" and "broker" not in str(path)}
