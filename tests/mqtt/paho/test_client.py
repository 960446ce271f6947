"""What is mended in paho's websockets."""

from __future__ import annotations

import socket
import tomllib
from contextlib import suppress
from importlib.metadata import version
from itertools import cycle
from pathlib import Path
from typing import TYPE_CHECKING

import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from edge_worker.config.mqtt import MqttConfig
from edge_worker.mqtt.connection_events import ConnectOptions
from edge_worker.mqtt.paho import client

if TYPE_CHECKING:
    from collections.abc import Iterator

HELLO = ConnectOptions("worker", "5", True, False, 0, None, None, None)
PAHO = version("paho-mqtt")
ROUNDS = 1000  # of writing and reading, many times what is needed


def payloads(stream: bytes) -> Iterator[bytes]:
    """Give what the websocket frames of *stream* hold, unmasked (RFC 6455, 5.2)."""
    while stream:
        length, start = stream[1] & 0x7F, 2
        if length >= 126:
            start += 2 if length == 126 else 8
            length = int.from_bytes(stream[2:start], "big")
        mask, data = stream[start : start + 4], stream[start + 4 : start + 4 + length]
        yield bytes(byte ^ key for byte, key in zip(data, cycle(mask), strict=False))
        stream = stream[start + 4 + length :]


def connected_over(sock: socket.socket) -> paho.Client:
    """A client whose websocket was opened already, over *sock*."""
    wrapper = object.__new__(paho._WebsocketWrapper)
    wrapper._socket, wrapper._ssl = sock, False
    wrapper._sendbuffer, wrapper._requested_size = bytearray(), 0
    mqtt = client.make(MqttConfig(host="localhost", transport="websockets"), HELLO)
    mqtt._sock = wrapper
    mqtt.on_socket_register_write = lambda *_: None
    return mqtt


def test_a_large_message_that_the_network_takes_in_parts_arrives_whole() -> None:
    """And what was published behind it, too: each in a frame of its own, nothing lost, nothing twice."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.setblocking(False)
        theirs.setblocking(False)
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        mqtt = connected_over(ours)
        mqtt.publish("large", b"x" * 70_000, qos=1)
        mqtt.publish("small", b"end", qos=1)
        stream = b""
        for _ in range(ROUNDS):
            mqtt.loop_write()
            with suppress(BlockingIOError):
                stream += theirs.recv(1 << 16)
        mqtt._sock = None
    large, small = payloads(stream)
    assert large.endswith(b"x" * 70_000)
    assert small.endswith(b"end")


@pytest.mark.parametrize(
    "name",
    [
        "_handle_on_message",
        "_handle_publish",
        "_handle_pubrel",
        "_in_messages",
        "_in_packet",
        "_keepalive",
        "_manual_ack",
        "_send_pubcomp",
        "_send_pubrec",
    ],
)
def test_the_private_names_of_paho_that_are_used_are_there(name: str) -> None:
    """Paho may rename what is private in any release: then this says so before a worker meets it."""
    client = paho.Client(CallbackAPIVersion.VERSION2)
    assert hasattr(client, name), f"paho-mqtt {PAHO} has no {name} any more: adapt edge_worker/mqtt/paho/client.py"


@pytest.mark.parametrize("name", ["_WebsocketWrapper", "_handle_on_message"])
def test_the_private_names_of_pahos_module_are_there(name: str) -> None:
    """The same of what the module itself holds."""
    holder = paho if name == "_WebsocketWrapper" else paho.Client
    assert hasattr(holder, name), f"paho-mqtt {PAHO} has no {name} any more: adapt edge_worker/mqtt/paho/client.py"


def test_paho_has_an_upper_bound_as_long_as_private_names_are_used() -> None:
    """A major release is tried before it is allowed."""
    project = tomllib.loads((Path(__file__).parents[3] / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    (bound,) = (one for one in project["dependencies"] if one.startswith("paho-mqtt"))
    assert "<3" in bound
