"""Messages and subscriptions as values."""

from __future__ import annotations

from samples import make_incoming

from edge_worker.mqtt.message import Outgoing, Subscription
from edge_worker.mqtt.paho.properties import publish_properties


def test_a_share_group_is_written_before_the_filter() -> None:
    """As MQTT 5 (4.8.2) has it."""
    one, two = Subscription("one", 1), Subscription("two", 0, share_group="g")
    assert (one.wire, two.wire) == ("one", "$share/g/two")


def test_a_packet_is_never_larger_than_its_message_says() -> None:
    """Whatever the message carries, in any script: on it depends what the broker is sent at all."""
    sparse = Outgoing("t", b"")
    full = Outgoing(
        "camera/ü/labels",
        b"x" * 1000,
        content_type="application/json",
        properties={"frame_id": "7", "Ort": "Straße 東京"},
        expiry_s=60,
        response_topic="replies/1",
        correlation=b"\0" * 16,
    )
    for message in (sparse, full):
        properties = publish_properties(message).pack()  # type: ignore[no-untyped-call]
        header = 1 + 4 + 2 + len(message.topic.encode()) + 2  # type, length, topic with its length, packet id
        assert header + len(properties) + len(message.payload) <= message.packet_size


def test_properties_of_a_message_count_as_memory() -> None:
    """A sender who puts a megabyte into them fills the memory no less."""
    text = "x" * 1_000_000
    assert make_incoming("t", b"", properties={"key": text}).memory_size > len(text)
    assert make_incoming("t", b"").memory_size > 0
