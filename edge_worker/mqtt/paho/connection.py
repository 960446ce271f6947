"""One connection, from the TCP handshake to its end. With its helpers in this package, the only user of paho-mqtt.

A connection belongs to one thread, which calls :meth:`PahoConnection.turn` again and again. paho gets no thread of its
own: its callbacks only note what happened, and ``turn`` returns the notes. So nothing can raise or block inside paho,
nothing is written from two threads at once, and a connection that ended is never used again: a fresh one has no
leftovers (acknowledgements queued before CONNECT, packet ids of a lost session, a queue that replays a poison message).
"""

from __future__ import annotations

import os
import select
import socket
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from paho.mqtt.enums import LogLevel
from paho.mqtt.subscribeoptions import SubscribeOptions

from edge_worker.common.deadline import Deadline
from edge_worker.mqtt.capabilities import Capabilities
from edge_worker.mqtt.connection_events import (
    Accepted,
    PublishAnswered,
    Received,
    SubscribeAnswered,
    Unsubscribed,
)
from edge_worker.mqtt.paho import client, reasons
from edge_worker.mqtt.paho import properties as wire

if TYPE_CHECKING:
    from collections.abc import Sequence

    from paho.mqtt import client as paho
    from paho.mqtt.properties import Properties
    from paho.mqtt.reasoncodes import ReasonCode

    from edge_worker.config.mqtt import MqttConfig
    from edge_worker.mqtt.connection_events import ConnectionEvent, ConnectOptions
    from edge_worker.mqtt.message import Outgoing, Subscription


class PahoConnection:
    """A paho client that is connected once. Not thread-safe."""

    def __init__(self, config: MqttConfig, options: ConnectOptions) -> None:
        """Describe the connection; nothing is opened before :meth:`open`."""
        self._config, self._options = config, options
        self._events: list[ConnectionEvent] = []
        self._error = ""
        self._is_accepted = False
        self._lingering: socket.socket | None = None
        self._qos: dict[int, int] = {}  # of the messages to be acknowledged
        self._client = client.make(config, options)
        self._set_callbacks()

    def open(self) -> None:
        """Connect, shake hands, send CONNECT; the answer comes by :meth:`turn`.

        Raises:
            OSError: no connection (TLS failures are of this kind).
            ConfigError: the certificates cannot be read.
            ValueError: the host is not a valid name.
        """
        client.connect(self._client, self._config, self._options)
        self._send_at_once()

    @property
    def is_open(self) -> bool:
        """Whether the connection stands (accepted or not yet)."""
        sock: Any = self._client.socket()
        return sock is not None and sock.fileno() >= 0

    def turn(self, timeout_s: float, wake: socket.socket) -> list[ConnectionEvent]:
        """Write, read and keep alive; wait at most *timeout_s* for the network or for *wake* to become readable."""
        if self._client.want_write():
            self._client.loop_write()
        if self.is_open and self._is_readable(0.0 if self._events else timeout_s, wake):
            self._client.loop_read()
        if self.is_open and self._is_accepted:  # paho's keepalive would be the limit of the wait for CONNACK, too
            self._client.loop_misc()
        events, self._events = self._events, []
        return events

    def subscribe(self, subscriptions: Sequence[Subscription]) -> int:
        """Ask for *subscriptions*; returns the packet id that the answer repeats, 0 when the connection broke."""
        if self._options.protocol == "5":
            return self._client.subscribe([(s.wire, _options(s)) for s in subscriptions])[1] or 0
        return self._client.subscribe([(s.wire, int(s.qos)) for s in subscriptions])[1] or 0

    def unsubscribe(self, subscriptions: Sequence[Subscription]) -> None:
        """Give *subscriptions* up; ``Unsubscribed`` is the answer."""
        self._client.unsubscribe([subscription.wire for subscription in subscriptions])

    def publish(self, message: Outgoing) -> int:
        """Send *message*; returns the packet id that ``PublishAnswered`` repeats.

        Raises:
            ValueError: it cannot be put into a packet.
        """
        properties = wire.publish_properties(message) if self._options.protocol == "5" else None
        return self._client.publish(message.topic, message.payload, message.qos, message.retain, properties).mid

    def acknowledge(self, mid: int) -> None:
        """Acknowledge message *mid*, of QoS 1 or 2."""
        self._client.ack(mid, self._qos.pop(mid, 1))

    def disconnect(self) -> None:
        """Queue a DISCONNECT, which ends the connection and cancels the will; further turns write it."""
        sock: Any = self._client.socket()
        if sock is not None:
            self._lingering = socket.socket(fileno=os.dup(sock.fileno()))
        self._client.disconnect()

    def linger(self, timeout_s: float) -> None:
        """After a goodbye: wait until the broker has closed its side.

        paho closes the socket as soon as the DISCONNECT is written. If frames are still coming in, the kernel then
        resets the connection, and the broker loses what it has not read yet: acknowledgements, and the DISCONNECT.
        """
        if self._lingering is None:
            return
        deadline = Deadline(timeout_s)
        with self._lingering as sock, suppress(OSError):
            sock.shutdown(socket.SHUT_WR)
            while not deadline.expired:
                sock.settimeout(deadline.remaining())
                if not sock.recv(1 << 16):
                    break

    def break_off(self) -> None:
        """Close the connection as it is; the broker will publish the will."""
        sock: Any = self._client.socket()
        if sock is not None:
            sock.close()

    # -- set up -------------------------------------------------------------------------------------------------------

    def _set_callbacks(self) -> None:
        self._client.on_connect = self._on_connect
        self._client.on_disconnect = self._on_disconnect
        self._client.on_subscribe = self._on_subscribe
        self._client.on_unsubscribe = self._on_unsubscribe
        self._client.on_message = self._on_message
        self._client.on_publish = self._on_publish
        self._client.on_log = self._on_log
        # With this set, paho only queues, and never writes (nor fails) inside publish() and the like.
        self._client.on_socket_register_write = lambda *_: None

    def _send_at_once(self) -> None:
        """Spare small packets the wait for the acknowledgement of the large ones before them."""
        sock: Any = self._client.socket()
        if isinstance(sock, socket.socket) and sock.family in (socket.AF_INET, socket.AF_INET6):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def _is_readable(self, timeout_s: float, wake: socket.socket) -> bool:
        sock: Any = self._client.socket()
        if hasattr(sock, "pending") and sock.pending() > 0:  # decrypted already: the kernel does not know of it
            return True
        writing = [sock] if self._client.want_write() else []
        readable, _, _ = select.select([sock, wake], writing, [], timeout_s)
        return sock in readable

    # -- callbacks of paho: they only take notes ----------------------------------------------------------------------

    def _on_connect(
        self,
        _client: object,
        _data: object,
        flags: paho.ConnectFlags,
        reason: ReasonCode,
        properties: Properties | None,
    ) -> None:
        if reason.is_failure:
            has_will, is_free = self._options.will is not None, self._config.protocol == "auto"
            refused = reasons.connect_refused(reason, properties, has_will=has_will, is_free=is_free)
            self._events.append(refused)
            return
        self._is_accepted = True
        self._events.append(
            Accepted(
                session_present=flags.session_present,
                max_packet=getattr(properties, "MaximumPacketSize", None),
                receive_maximum=getattr(properties, "ReceiveMaximum", None),
                session_expiry_s=getattr(properties, "SessionExpiryInterval", None),
                keepalive_s=client.limit_keepalive(self._client, self._config),
                capabilities=Capabilities.of(self._options.protocol, properties),
                client_id=getattr(properties, "AssignedClientIdentifier", None) or self._options.client_id,
            )
        )

    def _on_disconnect(
        self,
        _client: object,
        _data: object,
        flags: paho.DisconnectFlags,
        reason: ReasonCode,
        properties: Properties | None,
    ) -> None:
        self._events.append(reasons.ended(flags, reason, properties, self._error))

    def _on_subscribe(
        self, _client: object, _data: object, mid: int, codes: list[ReasonCode], _properties: object
    ) -> None:
        needs_qos_1 = self._options.manual_ack
        refusals = (reasons.subscription_refusal(code, needs_qos_1=needs_qos_1) for code in codes)
        self._events.append(SubscribeAnswered(mid, tuple(refusals)))

    def _on_unsubscribe(
        self, _client: object, _data: object, _mid: int, codes: list[ReasonCode], _properties: object
    ) -> None:
        self._events.append(Unsubscribed(tuple(code.getName() for code in codes if code.is_failure)))

    def _on_message(self, _client: object, _data: object, message: paho.MQTTMessage) -> None:
        mid = message.mid if message.qos and self._options.manual_ack else 0
        if mid:
            self._qos[mid] = message.qos
        try:
            self._events.append(Received(mid, wire.incoming(message)))
        except UnicodeDecodeError:  # a topic no broker should let through; unanswered it would block the window
            if mid:
                self.acknowledge(mid)

    def _on_publish(
        self, _client: object, _data: object, mid: int, reason: ReasonCode, properties: Properties | None
    ) -> None:
        refusal = reasons.words(reason, properties) if reason.is_failure else None
        self._events.append(PublishAnswered(mid, refusal, unmatched=reason.value == reasons.NO_MATCHING_SUBSCRIBERS))

    def _on_log(self, _client: object, _data: object, level: int, text: str) -> None:
        if level == LogLevel.MQTT_LOG_ERR:
            self._error = text.removeprefix("failed to receive on socket: ")


def _options(subscription: Subscription) -> SubscribeOptions:
    """Retained messages again at each reconnect would look like new frames."""
    always, at_first = SubscribeOptions.RETAIN_SEND_ON_SUBSCRIBE, SubscribeOptions.RETAIN_SEND_IF_NEW_SUB
    return SubscribeOptions(
        qos=subscription.qos, retainHandling=always if subscription.retained_at_reconnect else at_first
    )
