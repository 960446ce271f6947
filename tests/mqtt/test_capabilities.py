"""What CONNACK says that a broker cannot do, and what a link does about it."""

from __future__ import annotations

import struct
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest
from brokers import CONNACK, CONNECT, DISCONNECT, PUBACK, PUBLISH, SUBSCRIBE, FakeBroker, Peer, wait_until

from edge_worker.mqtt.capabilities import Capabilities
from edge_worker.mqtt.events import (
    CapabilityMissing,
    ClientIdAssigned,
    Connected,
    Disconnected,
    Published,
    Refused,
    Subscribed,
    SubscriptionRefused,
)
from edge_worker.mqtt.message import Outgoing, Subscription, Will

if TYPE_CHECKING:
    from collections.abc import Callable

    from links import Watched

NO_RETAIN, NO_QOS_1, NO_WILDCARDS, NO_SHARED = b"\x25\0", b"\x24\0", b"\x28\0", b"\x2a\0"
FRAMES = Subscription("cameras/+/frame", 0)
SHARED = Subscription("cameras/+/frame", 1, "workers")


def test_what_connack_does_not_name_is_there() -> None:
    """The defaults of MQTT 5; MQTT 3.1.1 has no shared subscriptions."""
    assert Capabilities.of("5", object()) == Capabilities()
    assert Capabilities.of("3.1.1", object()) == Capabilities(shared=False)


@pytest.mark.parametrize(
    ("can", "subscription", "key"),
    [
        (Capabilities(shared=False), SHARED, "cameras[].share_group"),
        (Capabilities(wildcards=False), FRAMES, "cameras[].topic"),
        (Capabilities(shared=False, wildcards=False), Subscription("cameras/door/frame", 1), ""),
        (Capabilities(), SHARED, ""),
    ],
)
def test_an_objection_names_the_key_to_change(can: Capabilities, subscription: Subscription, key: str) -> None:
    """A subscription that the broker would misunderstand is not asked for."""
    assert (key in can.objection(subscription)) if key else not can.objection(subscription)


def note_first_publish(peer: Peer, properties: bytes, seen: list[int]) -> None:
    """Let the client in with *properties* of CONNACK, and note the first byte of its first PUBLISH."""
    peer.accept(properties=properties)
    body = peer.read_until(PUBLISH)
    first = peer.packets[-1][0]
    seen.append(first)
    if first & 0b110:
        topic_length = int.from_bytes(body[:2], "big")
        peer.write(PUBACK, body[2 + topic_length : 4 + topic_length])
    with suppress(OSError):
        peer.read()


@pytest.mark.parametrize(
    ("properties", "first"), [(b"", 0x33), (NO_RETAIN, 0x32), (NO_QOS_1, 0x31), (NO_RETAIN + NO_QOS_1, 0x30)]
)
def test_messages_go_out_as_the_broker_takes_them(
    make_link: Callable[..., Watched], properties: bytes, first: int
) -> None:
    """Not retained, or in QoS 0, and with a word in the log; nothing that would end the connection."""
    seen: list[int] = []
    broker = FakeBroker(lambda peer: note_first_publish(peer, properties, seen))
    with broker:
        watched = make_link(broker.port).ready()
        watched.link.publish(Outgoing("out", b"x", qos=1, retain=True, must_arrive=True))
        assert watched.wait_for(Published).ok
        # In QoS 0 a message counts as published when it is written: the broker may have to read it yet.
        wait_until(lambda: seen, "the broker has read the message")
        missing = [event for event in watched.seen if isinstance(event, CapabilityMissing)]
    assert seen == [first]
    assert len(missing) == len(properties) // 2


@pytest.mark.parametrize(("code", "flags"), [(0x9A, 0b0000_1110), (0x9B, 0b0010_0110)])
def test_a_will_that_is_refused_is_asked_for_as_the_broker_takes_it(
    make_link: Callable[..., Watched], code: int, flags: int
) -> None:
    """0x9A: without retain; 0x9B: in QoS 0. The next attempt is let in."""
    connects: list[int] = []

    def refuse(peer: Peer) -> None:
        connects.append(peer.read_until(CONNECT)[7])
        peer.write(CONNACK, bytes([0, code, 0]))

    def accept(peer: Peer) -> None:
        connects.append(peer.read_until(CONNECT)[7])
        peer.write(CONNACK, b"\0\0\0")
        broker.hold(peer)

    broker = FakeBroker(refuse, accept)
    with broker:
        watched = make_link(broker.port, protocol="5", will=Will("status", b"{}")).ready()
        assert any(isinstance(event, Refused) for event in watched.seen)
    assert connects[0] & 0b0010_1110 == 0b0010_1110
    assert connects[1] & 0b0010_1110 == flags


@pytest.mark.parametrize("properties", [NO_SHARED, NO_WILDCARDS])
def test_a_subscription_that_would_be_misunderstood_is_refused_by_us(
    make_link: Callable[..., Watched], properties: bytes
) -> None:
    """Brokers without shared subscriptions take $share for a plain topic, and nothing ever arrives."""
    asked: list[bytes] = []

    def script(peer: Peer) -> None:
        peer.accept(properties=properties)
        body = peer.read_until(SUBSCRIBE)
        asked.append(body)
        peer.write(0x90, body[:2] + b"\0\1")
        broker.hold(peer)

    broker = FakeBroker(script)
    with broker:
        watched = make_link(broker.port, subscriptions=[SHARED, Subscription("own/topic", 1)]).start()
        refused = watched.wait_for(SubscriptionRefused)
        watched.none_of(Subscribed, 0.3)
        assert "cameras[]." in refused.reason
        assert not watched.link.status().subscribed
        assert "cameras[]." in watched.link.status().trouble
    assert [b"$share" in body or b"+" in body for body in asked] == [False]
    assert struct.pack(">H", 9) + b"own/topic" in asked[0]


def test_mqtt_3_1_1_has_no_share_groups(make_link: Callable[..., Watched]) -> None:
    """NATS and aedes grant $share there as a literal topic: 0 frames, no word."""

    def script(peer: Peer) -> None:
        peer.read_until(CONNECT)
        peer.write(CONNACK, b"\0\0")
        broker.hold(peer)

    broker = FakeBroker(script)
    with broker:
        watched = make_link(broker.port, protocol="3.1.1", subscriptions=[SHARED]).start()
        assert "share_group" in watched.wait_for(SubscriptionRefused).reason


def test_a_client_id_that_the_broker_assigns_is_kept(make_link: Callable[..., Watched]) -> None:
    """Its session has that name: the next connection asks for it, and the operator hears of it once."""

    def assign(peer: Peer) -> None:
        peer.accept(properties=b"\x12\x00\x05box-7")

    def hold(peer: Peer) -> None:
        asked.append(b"\x00\x05box-7" in peer.read_until(CONNECT))
        peer.write(CONNACK, b"\x01\x00\x00")
        broker.hold(peer)

    asked: list[bool] = []
    with FakeBroker(assign, hold) as broker:
        watched = make_link(broker.port, client_id="box", persistent=True).start()
        assert watched.wait_for(ClientIdAssigned).assigned == "box-7"
        assert watched.wait_for(Connected, lambda event: event.session_present)
    assert asked[:1] == [True]
    assert sum(isinstance(event, ClientIdAssigned) for event in watched.seen) == 1


REFERENCE = b"\x1c\x00\x0cother.host:1"


@pytest.mark.parametrize("reason", [0x9C, 0x9D])
def test_another_server_is_named_and_not_followed(make_link: Callable[..., Watched], reason: int) -> None:
    """Whether CONNACK or DISCONNECT sends us there: who answers for the broker must not get our password elsewhere."""

    def refuse(peer: Peer) -> None:
        peer.read_until(CONNECT)
        peer.write(CONNACK, bytes([0, reason, len(REFERENCE)]) + REFERENCE)

    def send_away(peer: Peer) -> None:
        peer.accept()
        peer.write(DISCONNECT, bytes([reason, len(REFERENCE)]) + REFERENCE)

    with FakeBroker(refuse) as broker:
        assert "set mqtt.host and mqtt.port to other.host:1" in make_link(broker.port).start().wait_for(Refused).reason
    with FakeBroker(send_away) as broker:
        watched = make_link(broker.port).start()
        assert "set mqtt.host and mqtt.port to other.host:1" in watched.wait_for(Disconnected).reason
        watched.wait_for(Connected)  # once more, and here
