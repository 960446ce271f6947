"""Fixes of how paho reads MQTT 5 properties, in two places where one hostile message could stop a worker for ever.

A QoS 1 message that cannot be read, or not in time, is redelivered at every reconnect. paho 2.2 closes the connection
over a text with U+FEFF in it, which MQTT allows (MQTT 5, 1.5.4) and brokers pass on. And it copies the rest of the
packet for each property: a message with 200 kB of empty user properties takes four seconds, a megabyte minutes.
"""

from __future__ import annotations

from typing import Any, Final

import paho.mqtt.properties as paho
from paho.mqtt.exception import MalformedPacket

MAX_PROPERTIES: Final = 100
"""Of one packet that are read; any behind them are ignored."""
_MAX_INTEGER: Final = 4  # bytes of a variable byte integer
_MAX_PROPERTY: Final = 2 * (2 + 65_535)  # bytes of the longest, a pair of texts


def install() -> None:
    """Make paho read properties this way, in the whole process."""
    paho.readUTF = read_text
    paho.Properties.unpack = unpack  # type: ignore[method-assign]


def read_text(buffer: bytes, available: int) -> tuple[str, int]:
    """Read a text with its length before it, at most *available* bytes; returns it, and how many bytes it took.

    Raises:
        MalformedPacket: it is longer than that.
    """
    taken = 2 + int.from_bytes(buffer[:2], "big")
    if taken > min(available, len(buffer)):
        raise MalformedPacket("a text is longer than the properties that it stands in")
    return buffer[2:taken].decode("utf-8", errors="replace"), taken


def unpack(properties: Any, buffer: bytes) -> tuple[Any, int]:  # noqa: ANN401 - paho's have no types
    """Read the properties at the head of *buffer*; returns *properties* and how many bytes they took.

    Raises:
        MalformedPacket: they are longer than the packet.
        MQTTException: a property does not belong here, or not twice.
    """
    properties.clear()
    length, start = _read_integer(buffer)
    place, end = start, start + length
    if end > len(buffer):
        raise MalformedPacket("the properties are longer than the packet")
    for _ in range(MAX_PROPERTIES):
        if place >= end:
            break
        place += _read_one(properties, buffer[place : min(end, place + 1 + _MAX_PROPERTY)])
    return properties, end


def _read_one(properties: Any, buffer: bytes) -> int:  # noqa: ANN401 - as above
    """Read the property at the head of *buffer*; returns how many bytes it took."""
    identifier, start = _read_integer(buffer)
    kind = properties.properties[identifier][0]
    value, taken = properties.readProperty(buffer[start:], kind, len(buffer) - start)
    setattr(properties, properties.getNameFromIdent(identifier), value)
    return start + int(taken)


def _read_integer(buffer: bytes) -> tuple[int, int]:
    """Read the variable byte integer at the head of *buffer*; returns it, and how many bytes it took."""
    value, taken = paho.VariableByteIntegers.decode(buffer[:_MAX_INTEGER])  # type: ignore[no-untyped-call]
    return int(value), int(taken)
