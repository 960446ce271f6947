"""Frames that arrive: how many are held, and what is left to the broker."""

from __future__ import annotations

from threading import Event
from typing import TYPE_CHECKING

import paho.mqtt.client as paho
import pytest
from brokers import Mosquitto, Proxy, wait_until
from links import EVERY, FRAMES, WAIT_S, Client, Watched, disconnect
from paho.mqtt.enums import CallbackAPIVersion

from edge_worker.mqtt import receiver
from edge_worker.mqtt.events import Arrived, Disconnected, Shed

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.mosquitto
TOPIC = "cameras/door/frame"


def leave_subscribed(port: int, client_id: str) -> None:
    """Leave a session behind that is subscribed to frames in QoS 2, as another program of that name may have."""
    subscribed = Event()
    client = paho.Client(CallbackAPIVersion.VERSION2, client_id, clean_session=False)
    client.on_subscribe = lambda *_: subscribed.set()
    client.connect("127.0.0.1", port)
    client.loop_start()
    client.subscribe(FRAMES.filter, qos=2)
    assert subscribed.wait(WAIT_S)
    disconnect(client)


@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
def test_what_a_session_holds_in_qos_2_is_acknowledged_too(
    mosquitto: Mosquitto, make_link: Callable[..., Watched], protocol: str
) -> None:
    """Not before its answer: a cut brings it again under its number; and nothing behind it is kept back."""
    leave_subscribed(mosquitto.port, "worker")
    with Proxy(mosquitto.port) as proxy, Client(mosquitto.port) as camera:
        camera.publish(TOPIC, b"1", qos=2)
        watched = make_link(proxy.port, protocol=protocol, **EVERY).start()
        first = watched.message()
        proxy.cut()
        watched.wait_for(Disconnected)
        again = watched.message()
        assert (first.qos, again.qos, again.redelivered) == (2, 2, True)
        watched.answer(again)
        camera.publish(TOPIC, b"2")
        assert watched.message().payload == b"2"
        assert watched.link.status().epoch == 2


def test_receive_maximum_1_never_holds_two(mosquitto: Mosquitto, make_link: Callable[..., Watched]) -> None:
    """The next frame comes after the acknowledgement of the one before, on every version of the broker."""
    watched = make_link(mosquitto.port, **EVERY).ready()
    with Client(mosquitto.port) as camera:
        for number in range(20):
            camera.publish(TOPIC, b"%d" % number)
        for number in range(20):
            message = watched.message()
            assert message.payload == b"%d" % number
            assert watched._queue.empty()
            watched.answer(message)
            assert sum(isinstance(event, Arrived) for event in watched.seen) == number + 1


def test_frames_over_the_agreed_number_are_held(
    make_mosquitto: Callable[..., Mosquitto], make_link: Callable[..., Watched]
) -> None:
    """MQTT 3.1.1 has no Receive Maximum: hundreds of frames that come at once need no reconnect."""
    broker, total = make_mosquitto("max_inflight_messages 0", "max_queued_messages 0"), 300
    watched = make_link(broker.port, protocol="3.1.1", **EVERY).ready()
    with Client(broker.port) as camera:
        for number in range(total):
            camera.publish(TOPIC, b"%03d" % number)
        messages = [watched.message() for _ in range(total)]
        assert [message.payload for message in messages] == [b"%03d" % number for number in range(total)]
        for message in messages:
            watched.acknowledge(message)
        camera.publish(TOPIC, b"next")
        assert watched.message().payload == b"next"
    assert not any(isinstance(event, Shed | Disconnected) for event in watched.seen)


def test_frames_over_the_memory_budget_wait_at_the_broker(
    make_mosquitto: Callable[..., Mosquitto], make_link: Callable[..., Watched], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A reconnect fetches them, in order, when those in memory are acknowledged; the link counts as connected."""
    monkeypatch.setattr(receiver, "MAX_BYTES", 1_000_000)
    broker = make_mosquitto("max_inflight_messages 0")
    watched = make_link(broker.port, protocol="3.1.1", **EVERY).ready()
    with Client(broker.port) as camera:
        for number in range(30):
            camera.publish(TOPIC, b"%02d" % number + b"x" * 100_000)
        shed = watched.wait_for(Shed)
        assert "Mosquitto before 2.0.13" in shed.reason
        wait_until(lambda: watched.link.status().shed == 30 - shed.held, "the rest is shed")
        held = [event.message for event in watched.seen if isinstance(event, Arrived)]
        assert [message.payload[:2] for message in held] == [b"%02d" % number for number in range(9)]
        for message in held:
            watched.acknowledge(message)
        assert watched.wait_for(Disconnected).reason == "fetching 21 frames that there was no memory for"
        status = watched.link.status()
        assert (status.connected, status.subscribed, status.trouble) == (True, True, "")
        for number in range(9, 30):
            message = watched.message()
            assert message.payload[:2] == b"%02d" % number
            watched.acknowledge(message)
