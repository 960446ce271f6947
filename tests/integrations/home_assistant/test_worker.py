"""A real worker on a real broker says, and takes back, what Home Assistant reads."""

from __future__ import annotations

import json
import signal
from typing import TYPE_CHECKING, Any

import pytest
from brokers import wait_until
from links import Client
from workers import IMAGE, START_S, WorkerProcess

from edge_worker.common import log_events

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from brokers import Mosquitto

pytestmark = pytest.mark.mosquitto
DISCOVERY = "homeassistant/device/#"
SETTINGS = "edge-worker/box/settings"
ON: dict[str, Any] = {"integrations": {"home_assistant": {"enabled": True}}}
OFF: dict[str, Any] = {"integrations": {"home_assistant": {"enabled": False}}}


def test_settings_follow_commands_and_turning_it_off_removes_everything(mosquitto: Mosquitto, tmp_path: Path) -> None:
    """The retained state shows what the worker has in force; a later run without the integration clears all."""
    with Client(mosquitto.port, DISCOVERY, SETTINGS) as home:
        with WorkerProcess(tmp_path, mosquitto.port, ON) as worker:
            worker.ready()
            home.publish("cameras/door/frame", IMAGE.read_bytes())
            wait_until(lambda: _cameras(home).keys() == {"door"}, "the camera has settings", START_S)
            home.publish("edge-worker/box/request/set", b'{"camera": "door", "paused": true, "min_interval_s": 2}')
            wait_until(
                lambda: _cameras(home)["door"] == {"paused": True, "min_interval_s": 2.0, "overlay": False},
                "the settings follow",
            )
            worker.signal(signal.SIGTERM)
            assert worker.wait() == 0
        topics = {message.topic for message in home.messages}
        assert len(topics) == 3
        with WorkerProcess(tmp_path, mosquitto.port, OFF) as worker:
            worker.ready()
            wait_until(lambda: _last(home) == dict.fromkeys(topics, b""), "all is taken back")


@pytest.mark.parametrize(
    ("prefix", "unread"), [("elsewhere", ["elsewhere/device/edge_worker_box/config"]), ("homeassistant", [])]
)
def test_a_prefix_that_nobody_reads_is_told_once(
    mosquitto: Mosquitto, tmp_path: Path, prefix: str, unread: list[str]
) -> None:
    """By the topic; not where somebody does read it."""
    settings = {"integrations": {"home_assistant": {"enabled": True, "prefix": prefix}}}
    with (
        Client(mosquitto.port, DISCOVERY, SETTINGS) as home,
        WorkerProcess(tmp_path, mosquitto.port, settings) as worker,
    ):
        worker.ready()
        wait_until(lambda: SETTINGS in _last(home), "the settings, which come after it, are there")
        worker.signal(signal.SIGTERM)
        assert worker.wait() == 0
        assert [line["topic"] for line in _lines(worker, log_events.HOME_ASSISTANT_UNREAD)] == unread


def test_a_broker_that_denies_discovery_disturbs_nothing_else(
    make_mosquitto: Callable[..., Mosquitto], tmp_path: Path
) -> None:
    """The log names the topic; frames are answered, and the worker is online."""
    rights = tmp_path / "acl"
    rights.write_text("topic readwrite cameras/#\ntopic readwrite parsing/#\ntopic readwrite edge-worker/#\n")
    broker = make_mosquitto(f"acl_file {rights}")
    with (
        Client(broker.port, "parsing/door/labels") as consumer,
        WorkerProcess(tmp_path, broker.port, ON) as worker,
    ):
        worker.ready()
        consumer.publish("cameras/door/frame", IMAGE.read_bytes())
        consumer.wait_for(1, START_S)
        topic = "homeassistant/device/edge_worker_box/config"
        wait_until(
            lambda: topic in {line.get("topic") for line in _lines(worker, log_events.LINK_PUBLICATION_REFUSED)},
            "the log says so",
        )
        assert {line["link"] for line in _lines(worker, log_events.LINK_PUBLICATION_REFUSED)} == {"home-assistant"}
        assert worker.states()[-1] == "online"


def _lines(worker: WorkerProcess, event: str) -> list[dict[str, Any]]:
    return [line for line in worker.log() if line["event"] == event]


def _last(client: Client) -> dict[str, bytes]:
    return {message.topic: bytes(message.payload) for message in client.messages}


def _cameras(client: Client) -> dict[str, Any]:
    return dict(json.loads(_last(client).get(SETTINGS, b"{}")).get("cameras", {}))
