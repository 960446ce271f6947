"""Messages that leave, and what becomes of them."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
from links import EVERY, Client, Watched

from edge_worker.common.errors import ResultTooLarge
from edge_worker.mqtt import poison
from edge_worker.mqtt.events import Disconnected, Published
from edge_worker.mqtt.message import Outgoing

if TYPE_CHECKING:
    from collections.abc import Callable

    from brokers import Mosquitto

pytestmark = pytest.mark.mosquitto


@pytest.mark.parametrize("topic", ["", "a/+", "a\0b"])
def test_a_topic_nobody_can_publish_to_is_given_up(
    mosquitto: Mosquitto, make_link: Callable[..., Watched], topic: str
) -> None:
    """A response topic is the sender's to choose; a bad one costs nothing but the response."""
    watched = make_link(mosquitto.port).ready()
    watched.link.publish(Outgoing(topic, b"x"))
    assert not watched.wait_for(Published).ok
    watched.link.publish(Outgoing("good", b"x"))
    assert watched.wait_for(Published).ok


def test_many_threads_publish_large_messages_intact(mosquitto: Mosquitto, make_link: Callable[..., Watched]) -> None:
    """Nothing interleaves on the wire: every byte of every message arrives."""
    count, size = 60, 300_000
    watched = make_link(mosquitto.port, **EVERY).ready()
    with Client(mosquitto.port, "out/#") as consumer, ThreadPoolExecutor(4) as pool:
        payloads = [bytes([number]) * size for number in range(count)]
        list(pool.map(lambda p: watched.link.publish(Outgoing(f"out/{p[0]}", p, must_arrive=True)), payloads))
        messages = consumer.wait_for(count)
    assert sorted(message.payload for message in messages) == payloads
    assert consumer.disconnects in ([], ["Normal disconnection"])
    assert not any(isinstance(event, Disconnected) for event in watched.seen)


def test_a_publication_that_nobody_receives_is_counted(mosquitto: Mosquitto, make_link: Callable[..., Watched]) -> None:
    """The broker says "No matching subscribers"; it is published all the same. A retained one waits for readers."""
    watched = make_link(mosquitto.port).ready()
    for message in (Outgoing("out", b"1"), Outgoing("state", b"2", retain=True), Outgoing("out", b"3")):
        watched.link.publish(message)
        assert watched.wait_for(Published).ok
    assert watched.link.status().publications_without_subscriber == 2
    with Client(mosquitto.port, "out"):
        watched.link.publish(Outgoing("out", b"4"))
        assert watched.wait_for(Published).ok
    assert watched.link.status().publications_without_subscriber == 2


def test_a_result_over_the_limit_is_refused_before_it_is_sent(
    make_mosquitto: Callable[..., Mosquitto], make_link: Callable[..., Watched]
) -> None:
    """The configured limit holds before any connection, the broker's from CONNACK on; the connection stands."""
    broker = make_mosquitto("max_packet_size 20000")
    watched = make_link(broker.port, max_result_mb=0.05)
    with pytest.raises(ResultTooLarge, match="50000"):
        watched.link.publish(Outgoing("out", b"x" * 50_000))
    watched.ready()
    assert watched.link.status().max_packet == 20_000
    with pytest.raises(ResultTooLarge, match="20000"):
        watched.link.publish(Outgoing("out", b"x" * 20_000))
    watched.link.publish(Outgoing("out", b"x" * 19_900))
    assert watched.wait_for(Published).ok


@pytest.mark.parametrize(("protocol", "limit"), [("3.1.1", "max_packet_size 20000"), ("5", "message_size_limit 20000")])
def test_a_result_the_broker_chokes_on_is_given_up(
    make_mosquitto: Callable[..., Mosquitto],
    make_link: Callable[..., Watched],
    monkeypatch: pytest.MonkeyPatch,
    protocol: str,
    limit: str,
) -> None:
    """Where the broker can only close the connection, that ends too: given up, and the next message goes through.

    From then on its size is known to be too much.
    """
    monkeypatch.setattr(poison, "STABLE_S", 0.5)
    watched = make_link(make_mosquitto(limit).port, protocol=protocol).ready()
    bad = watched.link.publish(Outgoing("out", b"x" * 30_000, must_arrive=True))
    good = watched.link.publish(Outgoing("out", b"x", must_arrive=True))
    ends = {event.publication: event.ok for event in (watched.wait_for(Published), watched.wait_for(Published))}
    assert ends == {bad: False, good: True}
    with pytest.raises(ResultTooLarge):
        watched.link.publish(Outgoing("out", b"x" * 30_000))
