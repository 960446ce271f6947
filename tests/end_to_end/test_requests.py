"""Requests over MQTT 5 on the real broker: shared by workers, answered to whoever asked."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from brokers import wait_until
from links import Client
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from workers import IMAGE, START_S, WorkerProcess

if TYPE_CHECKING:
    from pathlib import Path

    from brokers import Mosquitto

REQUESTS = {
    "topic": "requests/{camera}/frame",
    "delivery": "every",
    "share_group": "requests",
    "reply_prefix": "replies/",
}


def request(response_topic: str, correlation: bytes, **wishes: str) -> Properties:
    """The properties of a request."""
    properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
    properties.ResponseTopic = response_topic
    properties.CorrelationData = correlation
    properties.MessageExpiryInterval = 60
    properties.UserProperty = list(wishes.items())
    return properties


@pytest.mark.mosquitto
def test_results_of_a_request_reach_the_asker_and_nobody_else(mosquitto: Mosquitto, tmp_path: Path) -> None:
    """Map, overlay and labels on the Response Topic, labels last; nothing on the public topics."""
    with (
        Client(mosquitto.port, "replies/me") as asker,
        Client(mosquitto.port, "parsing/#") as public,
        WorkerProcess(tmp_path, mosquitto.port, {"cameras": [REQUESTS]}) as worker,
    ):
        worker.ready()
        asker.publish("requests/web/frame", IMAGE.read_bytes(), properties=request("parsing/web/labels", b"0"))
        wishes = request("replies/me", b"\x00seven", outputs="colormap,overlay", masks="rle")
        asker.publish("requests/web/frame", IMAGE.read_bytes(), properties=wishes)
        replies = asker.wait_for(3, START_S)
        asker.publish("requests/web/frame", b"no image", properties=request("replies/me", b"8"))
        wait_until(lambda: len(replies) == 4, "the error", START_S)
        properties: list[Any] = [one.properties for one in replies]
        assert [dict(one.UserProperty)["kind"] for one in properties] == [
            "overlay",
            "colormap",
            "labels",
            "error",
        ]
        assert [one.CorrelationData for one in properties] == [b"\x00seven"] * 3 + [b"8"]
        assert json.loads(replies[2].payload)["camera"] == "web"
        assert json.loads(replies[3].payload)["reason"] == "unsupported"
        assert not public.messages
