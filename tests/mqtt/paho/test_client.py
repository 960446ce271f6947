"""What is mended in paho's websockets."""

from __future__ import annotations

import socket
from contextlib import suppress
from itertools import cycle
from typing import TYPE_CHECKING

import paho.mqtt.client as paho

from edge_worker.config.mqtt import MqttConfig
from edge_worker.mqtt.connection_events import ConnectOptions
from edge_worker.mqtt.paho import client

if TYPE_CHECKING:
    from collections.abc import Iterator

HELLO = ConnectOptions("worker", "5", True, False, 0, None, None, None)
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
