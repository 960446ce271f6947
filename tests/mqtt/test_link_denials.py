"""Brokers that end the connection over a message that they do not allow."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from brokers import CONNACK, CONNECT, DISCONNECT, SUBSCRIBE, FakeBroker, Peer
from refusing_broker import NOT_AUTHORIZED, RefusingBroker

from edge_worker.mqtt import poison
from edge_worker.mqtt.events import Disconnected, PublicationRefused, Published, Subscribed, TakenOver
from edge_worker.mqtt.message import Outgoing, Subscription

if TYPE_CHECKING:
    from collections.abc import Callable

    from links import Watched

pytestmark = pytest.mark.usefixtures("soon_stable")
SOON_S = 30.0


@pytest.fixture
def soon_stable(monkeypatch: pytest.MonkeyPatch) -> None:
    """A suspect message does not wait for a connection that has stood for two seconds."""
    monkeypatch.setattr(poison, "STABLE_S", 0.2)


def publish(watched: Watched, topic: str, size: int, **options: Any) -> int:  # noqa: ANN401 - of Outgoing
    return watched.link.publish(Outgoing(topic, b"x" * size, **options))


def ended_well(watched: Watched, publication: int) -> bool:
    """Wait for the end of *publication*; whether the broker has it."""
    return watched.wait_for(Published, lambda event: event.publication == publication, SOON_S).ok


WAYS = [("5", NOT_AUTHORIZED), ("5", 0), ("3.1.1", 0)]
"""By DISCONNECT with its reason, and by closing the connection without one."""


@pytest.mark.parametrize(("protocol", "reason"), WAYS)
def test_a_denied_topic_waits_and_the_others_go_on(
    make_link: Callable[..., Watched], protocol: str, reason: int
) -> None:
    """Its message is sent when it is allowed; no size limit is concluded, and no other client of our name suspected."""
    with RefusingBroker(denied="labels/#", reason=reason) as broker:
        watched = make_link(broker.port, protocol=protocol).ready()
        configured = watched.link.max_packet()
        assert ended_well(watched, publish(watched, "maps/door", 50_000, must_arrive=True))
        denied = publish(watched, "labels/door", 30_000, must_arrive=True)
        assert watched.wait_for(PublicationRefused, timeout_s=SOON_S).topic == "labels/door"
        assert "labels/door" in watched.link.status().withheld
        for topic in ("maps/door", "maps/gate"):
            assert ended_well(watched, publish(watched, topic, 40_000, must_arrive=True))
        assert watched.link.max_packet("labels/door") == watched.link.max_packet("maps/door") == configured
        broker.denied = ""
        assert ended_well(watched, denied)
        assert ended_well(watched, publish(watched, "labels/gate", 30_000, must_arrive=True))
        assert watched.link.status().withheld == ""
    assert not any(isinstance(event, TakenOver) for event in watched.seen)


@pytest.mark.parametrize(("protocol", "reason", "qos"), [*((*way, 1) for way in WAYS), ("5", NOT_AUTHORIZED, 0)])
def test_live_results_for_a_denied_topic_are_given_up(
    make_link: Callable[..., Watched], protocol: str, reason: int, qos: int
) -> None:
    """Those for other topics go on; the status names the topic, and a new result is tried now and then."""
    with RefusingBroker(denied="overlay/#", reason=reason) as broker:
        watched = make_link(broker.port, protocol=protocol).ready()

        def offer(topic: str, size: int) -> bool:
            return ended_well(watched, publish(watched, topic, size, qos=qos))

        while "overlay/door" not in watched.link.status().withheld:
            offer("maps/door", 40_000)
            offer("overlay/door", 20_000)
        taken = len(broker.taken)
        while len(broker.taken) < taken + 5:
            offer("maps/door", 40_000)
        broker.denied = ""
        while "overlay/door" not in {message.topic for message in broker.taken}:
            offer("overlay/door", 20_000)
        assert watched.link.status().conflict == ""


def test_many_filters_are_granted_by_a_broker_that_takes_few_at_a_time(make_link: Callable[..., Watched]) -> None:
    """AWS IoT takes eight in one SUBSCRIBE, and ends the connection over a ninth."""
    filters = [Subscription(f"site{number}/+/frame", 0) for number in range(20)]
    with RefusingBroker(max_filters=8) as broker:
        make_link(broker.port, subscriptions=filters).start().wait_for(Subscribed)


@pytest.mark.parametrize(("protocol", "reason"), WAYS)
def test_a_broker_that_ends_the_connection_over_subscribe_is_understood(
    make_link: Callable[..., Watched], protocol: str, reason: int
) -> None:
    """The filters are named, no message and no other client is suspected, and the attempts become less frequent."""

    def refuse(peer: Peer) -> None:
        peer.read_until(CONNECT)
        peer.write(CONNACK, b"\0\0\0" if protocol == "5" else b"\0\0")
        peer.read_until(SUBSCRIBE)
        if reason:
            peer.write(DISCONNECT, bytes([reason, 0]))

    with FakeBroker(refuse) as broker:
        watched = make_link(broker.port, protocol=protocol, subscriptions=[Subscription("cameras/+/frame", 1)])
        publish(watched, "status", 100, retain=True)
        publish(watched, "labels/door", 30_000, must_arrive=True)
        watched.start()
        for _ in range(5):
            assert "SUBSCRIBE (cameras/+/frame)" in watched.wait_for(Disconnected, timeout_s=SOON_S).reason
        status = watched.link.status()
        assert (status.withheld, status.conflict, status.queued) == ("", "", 2)
        assert "cameras/+/frame" in status.trouble
        assert watched.link._reconnection._backoff._failures > 1
    assert not any(isinstance(event, TakenOver | PublicationRefused) for event in watched.seen)
