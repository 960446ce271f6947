"""The link when the broker or the network fails: it comes back, and what it promised still arrives."""

from __future__ import annotations

import random
import time
from typing import TYPE_CHECKING

import pytest
from brokers import CONNACK, CONNECT, FakeBroker, Mosquitto, Peer, Proxy, free_port, wait_until
from links import EVERY, Client, Watched

from edge_worker.common.deadline import Deadline
from edge_worker.config.mqtt import ReconnectConfig
from edge_worker.mqtt.events import (
    Arrived,
    Connected,
    Disconnected,
    Published,
    SessionLost,
    Subscribed,
    TakenOver,
    Unreachable,
)
from edge_worker.mqtt.message import Outgoing

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = pytest.mark.mosquitto

TOPIC = "cameras/door/frame"


def test_a_broker_that_is_absent_at_the_start_is_waited_for(tmp_path: Path, make_link: Callable[..., Watched]) -> None:
    """The worker may start first; it says why it waits, and is there when the broker is."""
    port = free_port()
    watched = make_link(port, **EVERY).start()
    assert watched.wait_for(Unreachable).reason.startswith("Connection refused")
    assert watched.link.healthy()
    assert watched.link.status().trouble.startswith("Connection refused")
    watched.link.publish(Outgoing("out", b"early", retain=True))
    with Mosquitto(tmp_path, port=port):
        watched.wait_for(Subscribed)
        assert watched.wait_for(Published).ok
        assert watched.link.status().trouble == ""


def test_a_restarted_broker_loses_nothing(mosquitto: Mosquitto, make_link: Callable[..., Watched]) -> None:
    """The frame in work comes again on the new connection; a result published meanwhile arrives."""
    watched = make_link(mosquitto.port, **EVERY).ready()
    with Client(mosquitto.port) as camera:
        camera.publish(TOPIC, b"frame")
    first = watched.message()
    mosquitto.stop()
    watched.wait_for(Disconnected)
    result = watched.link.publish(Outgoing("out", b"result", retain=True, must_arrive=True))
    assert first.delivery is not None
    assert not watched.link.acknowledge(first.delivery)
    mosquitto.start()
    assert watched.wait_for(Connected).session_present
    again = watched.message()
    assert (again.payload, again.redelivered) == (b"frame", True)
    assert watched.wait_for(Published, lambda event: event.publication == result).ok
    with Client(mosquitto.port, "out") as consumer:
        assert consumer.wait_for(1)[0].payload == b"result"


def test_a_lost_session_is_noticed(mosquitto: Mosquitto, make_link: Callable[..., Watched]) -> None:
    """A broker that forgot us forgot the frames it held, too; we subscribe again and say so."""
    watched = make_link(mosquitto.port, **EVERY).ready()
    mosquitto.kill()
    (mosquitto.directory / "mosquitto.db").unlink(missing_ok=True)
    mosquitto.start()
    watched.wait_for(Disconnected)
    assert not watched.wait_for(Connected).session_present
    watched.wait_for(SessionLost)
    watched.wait_for(Subscribed)
    assert watched.link.status().sessions_lost == 1
    with Client(mosquitto.port) as camera:
        camera.publish(TOPIC, b"after")
    assert watched.message().payload == b"after"


def test_a_frozen_broker_is_noticed_within_one_and_a_half_keepalives(
    mosquitto: Mosquitto, make_link: Callable[..., Watched]
) -> None:
    """A connection that stands but does not answer is given up, and made anew when the broker lives again."""
    watched = make_link(mosquitto.port, **EVERY, keepalive_s=5)
    watched.link._config = watched.link._config.model_copy(update={"keepalive_s": 2, "connack_timeout_s": 0.5})
    watched.ready()
    assert watched.link.status().keepalive_s == 1
    mosquitto.freeze()
    frozen_at = time.monotonic()
    assert "keepalive" in watched.wait_for(Disconnected).reason
    assert time.monotonic() - frozen_at < 3.0 + 0.2  # of a busy machine
    assert "no answer to CONNECT" in watched.wait_for(Unreachable).reason
    mosquitto.thaw()
    watched.wait_for(Subscribed)
    assert watched.link.status().protocol == "5", "a broker in trouble is not an old broker"


def test_a_broker_may_take_longer_to_let_us_in_than_a_keepalive(make_link: Callable[..., Watched]) -> None:
    """It asks somebody else about our password; how long that may take says ``connack_timeout_s``."""

    def hesitate(peer: Peer) -> None:
        peer.read_until(CONNECT)
        time.sleep(1.3)
        peer.write(CONNACK, b"\0\0\0")
        peer.grant(1)
        broker.hold(peer)

    with FakeBroker(hesitate) as broker:
        watched = make_link(broker.port, **EVERY, connack_timeout_s=10.0)
        watched.link._config = watched.link._config.model_copy(update={"keepalive_s": 1})
        watched.ready()
        assert len(broker.peers) == 1


def test_a_network_that_swallows_is_noticed(mosquitto: Mosquitto, make_link: Callable[..., Watched]) -> None:
    """A half-open connection: a message published into it arrives by the next one."""
    with Proxy(mosquitto.port) as proxy, Client(mosquitto.port, "out") as consumer:
        watched = make_link(proxy.port, keepalive_s=5)
        watched.link._config = watched.link._config.model_copy(update={"keepalive_s": 2, "connack_timeout_s": 0.5})
        watched.ready()
        proxy.swallow()
        watched.link.publish(Outgoing("out", b"through", must_arrive=True))
        watched.wait_for(Disconnected)
        proxy.swallow(on=False)
        assert watched.wait_for(Published).ok
        assert consumer.wait_for(1)[0].payload == b"through"


def test_nothing_is_lost_while_the_network_cuts(mosquitto: Mosquitto, make_link: Callable[..., Watched]) -> None:
    """Resets in the middle of frames and results: each frame is answered at least once, in order."""
    total, frame, rng = 60, b"x" * 100_000, random.Random(7)  # noqa: S311 - repeatable faults
    with Proxy(mosquitto.port) as proxy, Client(mosquitto.port, "out/#") as consumer, Client(mosquitto.port) as camera:
        proxy.allowance = lambda: rng.uniform(0, 2_000_000)
        watched = make_link(proxy.port, **EVERY).ready()
        for number in range(total):
            camera.publish(TOPIC, b"%03d" % number + frame)
        seen = answer_until(watched, total)
        wait_until(lambda: len({message.payload for message in consumer.messages}) == total, "all are answered")
    assert seen == sorted(seen)
    assert proxy.connections > 3


def answer_until(watched: Watched, total: int) -> list[bytes]:
    """Answer and acknowledge frames until *total* different ones were; returns their numbers as they first came."""
    seen: list[bytes] = []
    answered: set[bytes] = set()
    while len(answered) < total:
        message = watched.message(timeout_s=30.0)
        number = message.payload[:3]
        if number not in seen:
            seen.append(number)
        publication = watched.link.publish(Outgoing("out/x", message.payload, must_arrive=True))
        watched.wait_for(Published, lambda event, sent=publication: event.publication == sent, timeout_s=30.0)  # type: ignore[misc]
        for event in watched.seen:  # the frame may have come again meanwhile, on the connection that stands now
            if isinstance(event, Arrived) and event.message.delivery is not None:
                watched.link.acknowledge(event.message.delivery)
        watched.seen.clear()
        answered.add(number)
    return seen


def test_results_are_bounded_while_the_broker_is_away(make_link: Callable[..., Watched]) -> None:
    """Live results published into nothing are dropped, oldest first, and counted; memory does not grow."""
    watched = make_link(free_port()).start()
    for _ in range(1000):
        watched.link.publish(Outgoing("out", b"x" * 500_000))
    lost = watched.wait_for(Published)
    assert not lost.ok
    status = watched.link.status()
    assert status.queued * 500_000 < 40_000_000
    assert status.publications_lost == 1000 - status.queued


@pytest.mark.parametrize("protocol", ["3.1.1", "5"])
def test_two_clients_with_one_name_are_noticed(
    mosquitto: Mosquitto, make_link: Callable[..., Watched], protocol: str
) -> None:
    """They throw each other out for ever; mosquitto 2.0.11 does not say why, so a row of short connections does."""
    first = make_link(mosquitto.port, protocol=protocol).ready()
    second = make_link(mosquitto.port, protocol=protocol).ready()
    assert first.wait_for(TakenOver).client_id == "worker"
    assert first.link.status().takeovers == 1
    assert "client id 'worker'" in first.link.status().conflict
    assert "node.id" in first.link.status().conflict
    assert first.link.healthy()
    assert second.link.healthy()


def test_a_rival_that_left_is_forgotten(mosquitto: Mosquitto, make_link: Callable[..., Watched]) -> None:
    """Once a connection has lasted, nobody is warned any more."""
    reconnect = ReconnectConfig(min_s=0.05, max_s=0.2, stable_s=1.0)
    first = make_link(mosquitto.port, reconnect=reconnect).ready()
    second = make_link(mosquitto.port, reconnect=reconnect).ready()
    first.wait_for(TakenOver)
    second.link.stop(Deadline(2.0))
    wait_until(
        lambda: first.link.status().connected and not first.link.status().conflict,
        "the conflict is forgotten",
    )
