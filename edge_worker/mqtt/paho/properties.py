"""Our values to paho's MQTT 5 properties and back. Used by the session only."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from edge_worker.common.topics import clean_text
from edge_worker.mqtt.message import Incoming

if TYPE_CHECKING:
    from paho.mqtt.client import MQTTMessage

    from edge_worker.mqtt.message import Outgoing

_MAX_TEXT: Final = 65_535  # MQTT 5, 1.5.4
_MAX_REFERENCE: Final = 300  # a host's name and its port


def connect_properties(session_expiry_s: int, receive_maximum: int | None) -> Properties:
    """Make the properties of CONNECT.

    Maximum Packet Size is never among them: Mosquitto drops larger messages but keeps their places in the flight
    window, and in the end delivers nothing any more.
    """
    properties = _properties(PacketTypes.CONNECT)
    properties.SessionExpiryInterval = session_expiry_s
    if receive_maximum is not None:
        properties.ReceiveMaximum = receive_maximum
    return properties


def will_properties(delay_s: int, content_type: str) -> Properties:
    """Make the properties of the will."""
    properties = _properties(PacketTypes.WILLMESSAGE)
    properties.WillDelayInterval = delay_s
    properties.ContentType = content_type
    return properties


def publish_properties(message: Outgoing) -> Properties:
    """Make the properties of PUBLISH; what a broker would refuse in them is replaced."""
    properties = _properties(PacketTypes.PUBLISH)
    if message.content_type:
        properties.ContentType = clean_text(message.content_type, _MAX_TEXT)
    if message.properties:
        pairs = message.properties.items()
        properties.UserProperty = [(clean_text(key, _MAX_TEXT), clean_text(value, _MAX_TEXT)) for key, value in pairs]
    if message.expiry_s is not None:
        properties.MessageExpiryInterval = message.expiry_s
    if message.response_topic:
        properties.ResponseTopic = message.response_topic
    if message.correlation is not None:
        properties.CorrelationData = message.correlation
    return properties


def server_reference(properties: Properties | None) -> str:
    """The server that the broker refers us to, by its answer's *properties*; empty where it names none."""
    return clean_text(getattr(properties, "ServerReference", ""), _MAX_REFERENCE)


def incoming(message: MQTTMessage) -> Incoming:
    """Read what arrived; the delivery is filled in by whoever knows the connection.

    Raises:
        UnicodeDecodeError: the topic is not UTF-8.
    """
    properties: Any = message.properties
    return Incoming(
        topic=message.topic,
        payload=bytes(message.payload),
        qos=message.qos,
        retained=message.retain,
        redelivered=message.dup,
        properties=dict(getattr(properties, "UserProperty", ())),
        content_type=getattr(properties, "ContentType", ""),
        response_topic=getattr(properties, "ResponseTopic", ""),
        correlation=getattr(properties, "CorrelationData", None),
        arrived=message.timestamp,
        delivery=None,
        expiry_s=getattr(properties, "MessageExpiryInterval", None),
    )


def _properties(packet_type: int) -> Properties:
    return Properties(packet_type)  # type: ignore[no-untyped-call]
