"""A paho client, set up for one connection. Used by the session only."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode, MQTTProtocolVersion

from edge_worker.config.tls_context import make_context
from edge_worker.mqtt.paho import patches, websocket
from edge_worker.mqtt.paho import properties as wire

if TYPE_CHECKING:
    from edge_worker.config.mqtt import MqttConfig
    from edge_worker.mqtt.connection_events import ConnectOptions
    from edge_worker.mqtt.message import Will

KEEPALIVE_SHARE: Final = 0.7
"""paho notices a dead peer after two keepalives, each up to a turn of the link's loop late. Asking for this share of
the configured one keeps both within 1.5 of it."""

_EXACTLY_ONCE: Final = 2

patches.install()
websocket.install()


class _Client(paho.Client):
    """A client that sends PUBREC for a QoS 2 message when it is acknowledged, as PUBACK for one of QoS 1.

    Nobody asks for QoS 2 here, but a session may hold such messages from an earlier client of its name. paho answers
    PUBREC at once, loses what the next connection should go on with, and with manual acknowledgement never answers
    PUBREL: the broker's window stays closed for ever.
    """

    def ack(self, mid: int, qos: int) -> MQTTErrorCode:
        """Acknowledge what arrived."""
        return super()._send_pubrec(mid) if qos == _EXACTLY_ONCE else super().ack(mid, qos)

    def _send_pubrec(self, mid: int) -> MQTTErrorCode:
        return MQTTErrorCode.MQTT_ERR_SUCCESS if self._manual_ack else super()._send_pubrec(mid)

    def _handle_publish(self) -> MQTTErrorCode:
        outcome = super()._handle_publish()
        while self._manual_ack and self._in_messages:
            self._handle_on_message(self._in_messages.popitem()[1])
        return outcome

    def _handle_pubrel(self) -> MQTTErrorCode:
        outcome = super()._handle_pubrel()
        return self._send_pubcomp(int.from_bytes(self._in_packet["packet"][:2], "big")) if self._manual_ack else outcome


_VERSIONS: Final = {"5": MQTTProtocolVersion.MQTTv5, "3.1.1": MQTTProtocolVersion.MQTTv311}


def make(config: MqttConfig, options: ConnectOptions) -> paho.Client:
    """Make a client, complete except for its callbacks; nothing is opened."""
    client = _Client(
        CallbackAPIVersion.VERSION2,
        client_id=options.client_id,
        clean_session=None if options.protocol == "5" else options.clean_start,
        protocol=_VERSIONS[options.protocol],
        transport=config.transport,
        reconnect_on_failure=False,
        manual_ack=options.manual_ack,
    )
    client.connect_timeout = config.connect_timeout_s
    client.max_inflight_messages_set(0)  # the outbox keeps the window; paho must never queue
    if config.transport == "websockets":
        client.ws_set_options(path=config.websocket_path)
    if config.username is not None:
        client.username_pw_set(config.username, options.password)
    if options.will is not None:
        _set_will(client, options.will, config.will_delay_s if options.protocol == "5" else None)
    return client


def connect(client: paho.Client, config: MqttConfig, options: ConnectOptions) -> None:
    """Connect, shake hands, send CONNECT.

    Raises:
        OSError: no connection (TLS failures are of this kind).
        ConfigError: the certificates cannot be read.
        ValueError: the host is not a valid name.
    """
    if config.tls is not None:
        client.tls_set_context(make_context(config.tls))
        client.tls_insecure_set(not config.tls.verify)
    v5: dict[str, Any] = {}
    if options.protocol == "5":
        properties = wire.connect_properties(options.session_expiry_s, options.receive_maximum)
        v5 = {"clean_start": options.clean_start, "properties": properties}
    client.connect(config.host, config.port, _keepalive_s(config), **v5)


def limit_keepalive(client: paho.Client, config: MqttConfig) -> int:
    """Keep our own keepalive where the broker asked for a longer one, or for none; returns the one in force.

    Pinging more often than asked is allowed, and how soon a dead connection is noticed is for us to decide.
    """
    ours = _keepalive_s(config)
    client._keepalive = min(ours, client.keepalive or ours)  # noqa: SLF001 - its property refuses while connected
    return client.keepalive


def _keepalive_s(config: MqttConfig) -> int:
    return max(1, int(config.keepalive_s * KEEPALIVE_SHARE))


def _set_will(client: paho.Client, will: Will, delay_s: int | None) -> None:
    properties = None if delay_s is None else wire.will_properties(delay_s, will.content_type)
    client.will_set(will.topic, will.payload, qos=will.qos, retain=will.retain, properties=properties)
