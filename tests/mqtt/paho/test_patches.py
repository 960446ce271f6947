"""Properties read as paho reads them, but for what would let one message stop the worker."""

from __future__ import annotations

import importlib.util
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from paho.mqtt.exception import MalformedPacket
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from edge_worker.mqtt.paho import patches

TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0\ufeff"), max_size=50)
SENT = st.fixed_dictionaries(
    {},
    optional={
        "PayloadFormatIndicator": st.integers(0, 1),
        "MessageExpiryInterval": st.integers(0, 2**32 - 1),
        "ContentType": TEXT,
        "ResponseTopic": TEXT,
        "CorrelationData": st.binary(max_size=50),
        "SubscriptionIdentifier": st.lists(st.integers(1, 268_435_455), min_size=1, max_size=3),
        "TopicAlias": st.integers(1, 65_535),
        "UserProperty": st.lists(st.tuples(TEXT, TEXT), min_size=1, max_size=50),
    },
)


def made() -> Any:  # noqa: ANN401 - paho's properties have no types
    return Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]


def untouched_paho() -> Any:  # noqa: ANN401 - a module
    """A second copy of paho's module, which nobody has changed."""
    spec = importlib.util.find_spec("paho.mqtt.properties")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


PAHO = untouched_paho()


@given(SENT, st.binary(max_size=20))
def test_what_paho_reads_is_read_alike(fields: dict[str, Any], payload: bytes) -> None:
    """Every property of a message, and where they end."""
    written = made()
    for name, value in fields.items():
        setattr(written, name, value)
    packet = written.pack() + payload
    ours, length = patches.unpack(made(), packet)
    theirs, expected = PAHO.Properties(PacketTypes.PUBLISH).unpack(packet)
    assert (length, ours.json()) == (expected, theirs.json())


def test_a_byte_order_mark_is_a_character() -> None:
    """MQTT allows it anywhere in a text, and a message that cannot be read would come again for ever."""
    packet = packed(b"\x26\0\x03\xef\xbb\xbf\0\x01b")
    assert patches.unpack(made(), packet)[0].UserProperty == [("\ufeff", "b")]
    with pytest.raises(PAHO.MalformedPacket):
        PAHO.Properties(PacketTypes.PUBLISH).unpack(packet)


def test_text_that_is_none_is_read_as_well_as_it_can_be() -> None:
    """Brokers do not pass it on; one that did would stop the worker."""
    assert patches.unpack(made(), packed(b"\x03\0\x02a\xff"))[0].ContentType == "a�"


def test_of_properties_without_end_the_first_are_kept() -> None:
    """Memory is bounded; the payload behind them is found all the same."""
    packet = packed(b"\x26\0\x01a\0\x01b" * 140_000) + b"payload"
    properties, length = patches.unpack(made(), packet)
    assert packet[length:] == b"payload"
    assert len(properties.UserProperty) == patches.MAX_PROPERTIES


def test_the_longest_property_is_read_whole() -> None:
    """A pair of texts of the greatest length."""
    longest = "x" * 65_535
    written = made()
    written.UserProperty = (longest, longest)
    assert patches.unpack(made(), written.pack() + b"y" * 1000)[0].UserProperty == [(longest, longest)]


@pytest.mark.parametrize("content", [b"\x26\0\x09a", b"\x03\xff\xff", b"\x26\0\x01a\0\x02b"])
def test_properties_longer_than_they_say_are_malformed(content: bytes) -> None:
    """The payload is not read as part of them."""
    with pytest.raises(MalformedPacket):
        patches.unpack(made(), packed(content) + b"payload that is long enough")


def test_properties_longer_than_the_packet_are_malformed() -> None:
    """Whatever their length says."""
    with pytest.raises(MalformedPacket):
        patches.unpack(made(), b"\x7f\x01\0")


def packed(content: bytes) -> bytes:
    """Put the length before the properties."""
    return bytes(PAHO.VariableByteIntegers.encode(len(content))) + content
