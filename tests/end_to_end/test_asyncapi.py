"""Whatever a real worker publishes is what the AsyncAPI document says."""

from __future__ import annotations

import json
import signal
from typing import TYPE_CHECKING, Any, Final

import pytest
from asyncapi_checks import DOCUMENT, MESSAGES, channel_of, header_schemas, operation_on, problems
from brokers import wait_until
from links import Client
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from workers import IMAGE, START_S, WorkerProcess

from edge_worker.inference.outputs import KINDS
from edge_worker.messages import COMMANDS

if TYPE_CHECKING:
    from pathlib import Path

    import paho.mqtt.client as paho
    from brokers import Mosquitto

SETTINGS: Final = {
    "cameras": [
        {"topic": "cameras/{camera}/frame", "max_age_s": None},
        {
            "topic": "requests/{camera}/frame",
            "delivery": "every",
            "share_group": "requests",
            "reply_prefix": "replies/",
            "outputs": {name: {"enabled": False} for name, kind in KINDS.items() if kind.per_person},
        },
        {"topic": "shared/{camera}/frame", "delivery": "every", "split": {"group": "all"}},
    ],
    "output": {
        **{name: {"enabled": True} for name in KINDS},
        "labels": {"masks": "rle", "instances": "raw"},
    },
    "model": {"path": "builtin:seeded"},
    "ops": {"stats_interval_s": 1},
    "integrations": {"home_assistant": {"enabled": True}},
}
SENT: Final = {channel for channel in DOCUMENT["channels"] if channel not in {"frames", "requests", "commands"}}


@pytest.mark.mosquitto
def test_what_a_worker_publishes_is_what_the_document_says(mosquitto: Mosquitto, tmp_path: Path) -> None:
    """Address, payload, user properties, content type, QoS and retain of a message on each channel."""
    with (
        Client(
            mosquitto.port,
            "parsing/#",
            *(f"edge-worker/+/{topic}" for topic in ("status", "model", "stats", "settings", "answered")),
        ) as out,
        Client(mosquitto.port, "edge-worker/+/response/+", "replies/#") as answers,
        WorkerProcess(tmp_path, mosquitto.port, SETTINGS) as worker,
    ):
        worker.ready()
        answers.publish(
            "cameras/door/frame", IMAGE.read_bytes(), properties=_properties(**{"captured-at": "2026-01-31T12:00:00Z"})
        )
        answers.publish("cameras/door/frame", IMAGE.read_bytes())
        answers.publish("cameras/gate/frame", b"no image")
        answers.publish("shared/yard/frame", IMAGE.read_bytes())
        asked = _properties(outputs=",".join(KINDS), masks="rle")
        asked.ResponseTopic = "replies/me"
        answers.publish("requests/web/frame", IMAGE.read_bytes(), properties=asked)
        answers.publish("requests/web/frame", b"no image", properties=asked)
        wait_until(lambda: _channels(out, answers) >= SENT - {"responses"}, "an answer on each channel", START_S)
        for command in COMMANDS:
            answers.publish(f"edge-worker/box/request/{command}", b"")
        wait_until(lambda: "edge-worker/box/response/restart" in _topics(answers), "commands are answered", START_S)
        worker.signal(signal.SIGTERM)
        assert worker.wait() == 0
        for message in [*out.messages, *answers.messages]:
            assert _faults(message) == [], message.topic
    with Client(mosquitto.port, "parsing/#", "replies/#", "edge-worker/#") as late:
        (*_, _status) = late.wait_for(3)
        retained = {channel_of(message.topic) for message in late.messages}
    assert retained == {name for name in SENT - {"replies", "responses"} if _binding(name)["retain"]}


def _properties(**pairs: str) -> Properties:
    properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
    properties.UserProperty = list(pairs.items())
    return properties


def _topics(*clients: Client) -> set[str]:
    return {message.topic for client in clients for message in client.messages}


def _channels(*clients: Client) -> set[str]:
    return set(map(channel_of, _topics(*clients)))


def _binding(channel: str) -> dict[str, Any]:
    return dict(operation_on(channel)["bindings"]["mqtt"])


def _message_on(channel: str, message: paho.MQTTMessage) -> str:
    """The message of *channel* that it is: of several, all JSON, the only one that describes it."""
    names: list[str] = list(DOCUMENT["channels"][channel]["messages"])
    if len(names) > 1:
        value = json.loads(message.payload)
        names = [name for name in names if not problems(MESSAGES[name]["payload"], value)]
    (name,) = names
    return name


def _faults(message: paho.MQTTMessage) -> list[str]:
    """In what *message* is not as the document says."""
    channel, properties = channel_of(message.topic), message.properties
    shown = dict(getattr(properties, "UserProperty", ()))
    name = shown["kind"] if channel == "replies" else _message_on(channel, message)
    described = MESSAGES[name]
    is_json = described["contentType"] == "application/json"
    value = json.loads(message.payload) if is_json else ""
    faults = [*problems(described["payload"], value)]
    faults += [problem for schema in header_schemas(name) for problem in problems(schema, shown)]
    faults += sorted(set(shown) - {key for schema in header_schemas(name) for key in schema["properties"]})
    if getattr(properties, "ContentType", "") != described["contentType"]:
        faults.append(f"content type {properties}")
    if channel not in {"replies", "responses"} and message.qos != _binding(channel)["qos"]:
        faults.append(f"QoS {message.qos}")
    return faults
