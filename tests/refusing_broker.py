"""A small broker that refuses messages by closing the connection, as VerneMQ, RabbitMQ and AWS IoT do.

It forwards messages to subscribers in MQTT 5 and 3.1.1, without QoS 2, sessions and retained messages. Share groups are
granted as if they were plain topics, as aedes and NATS do.
"""

from __future__ import annotations

import struct
from contextlib import suppress
from typing import NamedTuple

from brokers import (
    CONNACK,
    CONNECT,
    DISCONNECT,
    PINGREQ,
    PINGRESP,
    PUBACK,
    PUBLISH,
    SUBACK,
    SUBSCRIBE,
    FakeBroker,
    Peer,
)
from paho.mqtt.client import topic_matches_sub

NOT_AUTHORIZED, QUOTA_EXCEEDED = 0x87, 0x97


class Taken(NamedTuple):
    """A message that the broker accepted."""

    topic: str
    payload: bytes
    qos: int


class RefusingBroker(FakeBroker):
    """Refuses messages whose topic matches ``denied``, and a SUBSCRIBE with more than *max_filters* filters."""

    def __init__(
        self, *, denied: str = "", reason: int = NOT_AUTHORIZED, max_filters: int = 100, dot: str = ".", v5: bool = True
    ) -> None:
        """*reason*: the reason code of the DISCONNECT after a denied message; 0: none is sent, as in MQTT 3.1.1.

        *dot* replaces a ``.`` in topics (RabbitMQ: ``/``). Without *v5* the broker closes the connection on an MQTT 5
        CONNECT, as RabbitMQ 3.10 does.
        """
        super().__init__(self._serve_client)
        self.denied = denied
        """Topic filter; empty: everything is allowed. May be changed at any time."""
        self.taken: list[Taken] = []
        self._reason, self._max_filters, self._dot, self._knows_v5 = reason, max_filters, dot, v5
        self._subscriptions: list[tuple[Peer, str, bool]] = []

    def _serve_client(self, peer: Peer) -> None:
        v5 = peer.read_until(CONNECT)[6] == 5
        if v5 and not self._knows_v5:
            return
        peer.write(CONNACK, b"\0\0\0" if v5 else b"\0\0")
        while True:
            first, body = peer.read()
            if first == SUBSCRIBE:
                self._subscribe(peer, body, v5=v5)
            elif first & 0xF0 == PUBLISH:
                self._publish(peer, first, body, v5=v5)
            elif first == PINGREQ:
                peer.write(PINGRESP)
            elif first & 0xF0 == DISCONNECT:
                return

    def _subscribe(self, peer: Peer, body: bytes, *, v5: bool) -> None:
        at, filters = 2 + (1 + body[2] if v5 else 0), []
        while at < len(body):
            (length,) = struct.unpack_from("!H", body, at)
            filters.append(body[at + 2 : at + 2 + length].decode().replace(".", self._dot))
            at += 3 + length
        if len(filters) > self._max_filters:
            self._end(peer, QUOTA_EXCEEDED, v5=v5)
        self._subscriptions += [(peer, one, v5) for one in filters]
        peer.write(SUBACK, body[:2] + (b"\0" if v5 else b"") + b"\0" * len(filters))

    def _publish(self, peer: Peer, first: int, body: bytes, *, v5: bool) -> None:
        qos, (length,) = first >> 1 & 3, struct.unpack_from("!H", body)
        topic, at = body[2 : 2 + length].decode().replace(".", self._dot), 2 + length + (2 if qos else 0)
        payload = body[at + (_after_properties(body[at:]) if v5 else 0) :]
        if self.denied and topic_matches_sub(self.denied, topic):
            self._end(peer, self._reason, v5=v5)
        self.taken.append(Taken(topic, payload, qos))
        if qos:
            peer.write(PUBACK, body[2 + length : 4 + length])
        for subscriber, one, speaks_v5 in self._subscriptions:
            if topic_matches_sub(one, topic):
                packet = body[:2] + topic.encode() + (b"\0" if speaks_v5 else b"") + payload
                with suppress(OSError):  # that client has disconnected
                    subscriber.write(PUBLISH, packet)

    def _end(self, peer: Peer, reason: int, *, v5: bool) -> None:
        if v5 and reason:
            peer.write(DISCONNECT, bytes([reason, 0]))
        raise ConnectionAbortedError


def _after_properties(data: bytes) -> int:
    """Return the offset in *data* after its leading properties."""
    length = shift = at = 0
    while True:
        length |= (data[at] & 0x7F) << shift
        shift, at = shift + 7, at + 1
        if not data[at - 1] & 0x80:
            return at + length
