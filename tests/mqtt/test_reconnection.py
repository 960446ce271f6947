"""What follows from the end of a connection: the older protocol, another client with our name, waiting."""

from __future__ import annotations

import itertools
import time
from typing import TYPE_CHECKING

import pytest
from brokers import (
    CONNACK,
    CONNECT,
    DISCONNECT,
    SUBACK,
    SUBSCRIBE,
    Amqtt,
    FakeBroker,
    Peer,
    Proxy,
    free_port,
)
from links import EVERY, Client, Watched

from edge_worker.config.mqtt import ReconnectConfig
from edge_worker.mqtt.events import (
    Connected,
    Disconnected,
    FellBack,
    Published,
    Refused,
    SessionLost,
    Subscribed,
    TakenOver,
    Unreachable,
)
from edge_worker.mqtt.message import Outgoing

if TYPE_CHECKING:
    from collections.abc import Callable

    from brokers import Mosquitto

REFUSED_VERSION = bytes([CONNACK, 2, 0, 1])  # as a broker of MQTT 3.1.1 says it


def connect_level(peer: Peer) -> int:
    """Read CONNECT; returns the protocol level in it: 4 for MQTT 3.1.1, 5 for MQTT 5."""
    return peer.read_until(CONNECT)[6]


def accept_3_1_1(peer: Peer) -> None:
    """Let the client in and grant one subscription, in MQTT 3.1.1."""
    assert connect_level(peer) == 4
    peer.write(CONNACK, b"\0\0")
    body = peer.read_until(SUBSCRIBE)
    peer.write(SUBACK, body[:2] + b"\1")


def test_silence_to_connect_leads_to_the_older_protocol(make_link: Callable[..., Watched]) -> None:
    """Some brokers of 3.1.1 wait for ever for the rest of a CONNECT they cannot read."""
    levels: list[int] = []

    def silent(peer: Peer) -> None:
        levels.append(connect_level(peer))
        broker.hold(peer)

    def old(peer: Peer) -> None:
        accept_3_1_1(peer)
        broker.hold(peer)

    with FakeBroker(silent, old) as broker:
        watched = make_link(broker.port, **EVERY, connack_timeout_s=0.3).start()
        assert "within 0.3 s" in watched.wait_for(Unreachable).reason
        assert "no answer to CONNECT (MQTT 5)" in watched.wait_for(FellBack).reason
        assert watched.wait_for(Connected).protocol == "3.1.1"
        watched.wait_for(Subscribed)
        assert levels == [5]


def test_a_refused_version_leads_to_the_older_protocol(make_link: Callable[..., Watched]) -> None:
    """The plainest case: the broker says so."""

    def refuse(peer: Peer) -> None:
        assert connect_level(peer) == 5
        peer.write_raw(REFUSED_VERSION)
        broker.hold(peer)

    def old(peer: Peer) -> None:
        accept_3_1_1(peer)
        broker.hold(peer)

    with FakeBroker(refuse, old) as broker:
        watched = make_link(broker.port, **EVERY).start()
        assert watched.wait_for(Unreachable).reason == "Unsupported protocol version"
        assert watched.wait_for(Connected).protocol == "3.1.1"


def test_a_refused_version_is_final_where_no_other_is_allowed(make_link: Callable[..., Watched]) -> None:
    """Who asks for MQTT 5 gets no other, and is told."""

    def refuse(peer: Peer) -> None:
        assert connect_level(peer) == 5
        peer.write_raw(REFUSED_VERSION)
        broker.hold(peer)

    with FakeBroker(refuse) as broker:
        watched = make_link(broker.port, protocol="5").start()
        refused = Refused("link", "Unsupported protocol version: set mqtt.protocol: auto", permanent=True)
        assert watched.wait_for(Refused) == refused
        assert watched.wait_for(Refused).permanent


def test_two_closes_before_any_answer_lead_to_the_older_protocol(make_link: Callable[..., Watched]) -> None:
    """One may be chance, two in a row look like an old broker; after its first yes it is asked once more."""

    def close(peer: Peer) -> None:
        assert connect_level(peer) == 5

    def old(peer: Peer) -> None:
        accept_3_1_1(peer)
        broker.hold(peer)

    with FakeBroker(close, close, old, close, old) as broker:
        watched = make_link(broker.port, **EVERY).start()
        assert "closed before the broker answered" in watched.wait_for(FellBack).reason
        watched.wait_for(Subscribed)
    assert not any(isinstance(event, SessionLost) for event in watched.seen)


@pytest.mark.mosquitto
def test_a_proxy_before_the_broker_does_not_cost_us_mqtt_5(
    make_mosquitto: Callable[..., Mosquitto], make_link: Callable[..., Watched]
) -> None:
    """It accepts connections and closes them while the broker starts, which looks like one that does not know it."""
    port = free_port()
    with Proxy(port) as proxy:
        watched = make_link(proxy.port, reconnect=ReconnectConfig(min_s=0.5, max_s=2.0), **EVERY).start()
        for _ in range(2):
            watched.wait_for(Unreachable)
        make_mosquitto(port=port)  # the next attempt, in MQTT 3.1.1, is being waited for
        assert watched.wait_for(Connected).protocol == "5"
        watched.wait_for(Subscribed)
    assert not any(isinstance(event, SessionLost) for event in watched.seen)


def test_after_the_first_success_the_protocol_stands(make_link: Callable[..., Watched]) -> None:
    """A broker that hangs or closes later has not become an old one."""

    def once(peer: Peer) -> None:
        peer.accept()
        peer.grant(1)

    def close(peer: Peer) -> None:
        assert connect_level(peer) == 5

    def again(peer: Peer) -> None:
        peer.accept(session_present=True)
        peer.grant(1)
        broker.hold(peer)

    with FakeBroker(once, close, close, close, again) as broker:
        watched = make_link(broker.port, **EVERY).ready()
        watched.wait_for(Disconnected)
        assert watched.wait_for(Connected).protocol == "5"


def test_a_broker_replaced_by_an_older_one_is_found_again(make_link: Callable[..., Watched]) -> None:
    """It says that it does not know the version spoken so far, which is no trouble that passes."""

    def once(peer: Peer) -> None:
        peer.accept()
        peer.grant(1)

    def refuse(peer: Peer) -> None:
        assert connect_level(peer) == 5
        peer.write_raw(REFUSED_VERSION)

    def old(peer: Peer) -> None:
        accept_3_1_1(peer)
        broker.hold(peer)

    with FakeBroker(once, refuse, old) as broker:
        watched = make_link(broker.port, **EVERY).ready()
        watched.wait_for(Disconnected)
        assert watched.wait_for(Connected).protocol == "3.1.1"


def test_amqtt_is_spoken_to_in_its_version(amqtt: Amqtt, make_link: Callable[..., Watched]) -> None:
    """The demo's broker: found out, subscribed, published to."""
    watched = make_link(amqtt.port, **EVERY, connack_timeout_s=0.5).ready()
    assert watched.link.status().protocol == "3.1.1"
    with Client(amqtt.port, "out", v5=False) as consumer:
        consumer.publish("cameras/door/frame", b"frame")
        message = watched.message()
        watched.link.publish(Outgoing("out", message.payload))
        assert watched.wait_for(Published).ok
        assert consumer.wait_for(1)[0].payload == b"frame"


def test_a_takeover_that_is_told_is_certain(make_link: Callable[..., Watched]) -> None:
    """MQTT 5 has a reason for it."""

    def kick(peer: Peer) -> None:
        peer.accept()
        peer.write(DISCONNECT, bytes([0x8E]))

    with FakeBroker(kick) as broker:
        watched = make_link(broker.port).start()
        assert watched.wait_for(TakenOver).certain


def test_quick_disconnects_back_off(make_link: Callable[..., Watched]) -> None:
    """Let in and thrown out at once: the waits grow, because no connection was stable."""
    times: list[float] = []

    def throw_out(peer: Peer) -> None:
        times.append(time.monotonic())
        peer.accept()

    with FakeBroker(throw_out) as broker:
        reconnect = ReconnectConfig(min_s=0.05, max_s=10.0, stable_s=5.0)
        watched = make_link(broker.port, reconnect=reconnect).start()
        for _ in range(6):
            watched.wait_for(Disconnected)
    gaps = [later - earlier for earlier, later in itertools.pairwise(times)]
    assert gaps[4] > 8 * reconnect.min_s  # the fifth wait is 8 to 16 times the first; on a busy machine gaps are longer
    assert gaps[4] > gaps[0]
