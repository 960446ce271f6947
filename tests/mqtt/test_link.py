"""The link on a real broker: messages, sessions, acknowledgements, limits, the will."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from brokers import Mosquitto, Proxy, wait_until
from links import EVERY, FRAMES, Client, Watched
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from edge_worker.common.deadline import Deadline
from edge_worker.mqtt.events import Connected, Disconnected, Fatal, Published, Subscribed
from edge_worker.mqtt.message import Outgoing, Subscription, Will

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.mosquitto

TOPIC = "cameras/door/frame"


def test_a_message_keeps_everything_mqtt_5_can_say(mosquitto: Mosquitto, make_link: Callable[..., Watched]) -> None:
    """Content type, user properties, expiry, response topic and correlation data leave and arrive unchanged."""
    watched = make_link(mosquitto.port, subscriptions=[Subscription("loop", 1)]).ready()
    sent = Outgoing(
        "loop",
        b"\x00\xffpayload",
        content_type="image/png",
        properties={"frame-id": "7", "camera": "Tür"},
        expiry_s=60,
        response_topic="answers/here",
        correlation=b"\x00\x01",
    )
    with Client(mosquitto.port, "loop") as consumer:
        watched.link.publish(sent)
        message = watched.message()
        properties: Any = consumer.wait_for(1)[0].properties
    assert (message.topic, message.payload, message.qos) == ("loop", sent.payload, 1)
    assert (message.content_type, message.properties) == (sent.content_type, sent.properties)
    assert (message.response_topic, message.correlation) == (sent.response_topic, sent.correlation)
    assert not message.retained
    assert not message.redelivered
    assert message.delivery is None, "only persistent links leave the acknowledgement to the worker"
    assert properties.ContentType == "image/png"
    assert 55 <= properties.MessageExpiryInterval <= 60


def test_mqtt_3_1_1_carries_payloads_without_properties(
    mosquitto: Mosquitto, make_link: Callable[..., Watched]
) -> None:
    """What the old version cannot say is left out, not an error."""
    watched = make_link(mosquitto.port, protocol="3.1.1", subscriptions=[Subscription("loop", 1)]).ready()
    watched.link.publish(Outgoing("loop", b"x", content_type="image/png", properties={"a": "b"}, expiry_s=9))
    message = watched.message()
    assert (message.payload, message.content_type, message.properties) == (b"x", "", {})
    assert watched.link.status().protocol == "3.1.1"


def test_hostile_properties_cannot_break_the_connection(
    mosquitto: Mosquitto, make_link: Callable[..., Watched]
) -> None:
    """A camera's frame id with control characters is answered, not a reason for the broker to throw us out."""
    watched = make_link(mosquitto.port).ready()
    with Client(mosquitto.port, "out") as consumer:
        watched.link.publish(Outgoing("out", b"x", properties={"frame-id": "a\0b\x1f\ud800" + "c" * 70_000}))
        assert watched.wait_for(Published).ok
        assert consumer.wait_for(1)[0].payload == b"x"
    assert not any(isinstance(event, Disconnected) for event in watched.seen)


def test_a_frame_not_acknowledged_comes_again(mosquitto: Mosquitto, make_link: Callable[..., Watched]) -> None:
    """After a cut the broker sends it again; only the new delivery can be acknowledged, and then it is gone."""
    with Proxy(mosquitto.port) as proxy, Client(mosquitto.port) as camera:
        watched = make_link(proxy.port, **EVERY).ready()
        camera.publish(TOPIC, b"frame")
        first = watched.message()
        proxy.cut()
        watched.wait_for(Disconnected)
        again = watched.message()
        assert (again.payload, again.redelivered) == (b"frame", True)
        assert first.delivery is not None
        assert not watched.link.acknowledge(first.delivery)
        assert again.delivery is not None
        assert watched.link.acknowledge(again.delivery)
        camera.publish(TOPIC, b"next")
        assert watched.message().payload == b"next"


CHILD = """
import sys
from queue import SimpleQueue
from edge_worker.config.mqtt import MqttConfig
from edge_worker.mqtt.events import Arrived
from edge_worker.mqtt.message import Subscription
from edge_worker.mqtt.link import Link
queue = SimpleQueue()
link = Link(MqttConfig(host="127.0.0.1", port=int(sys.argv[1])), name="link", client_id="worker", persistent=True,
            receive_maximum=1, subscriptions=[Subscription("cameras/+/frame", 1)], report=queue.put,
            password=lambda: None)
link.start()
while True:
    event = queue.get()
    print(event.message.payload.decode() if isinstance(event, Arrived) else type(event).__name__, flush=True)
"""


def test_a_killed_worker_leaves_its_frame_to_its_successor(
    mosquitto: Mosquitto, make_link: Callable[..., Watched]
) -> None:
    """Kill -9 before the acknowledgement: the next process gets that frame first, then those that came meanwhile."""
    command = [sys.executable, "-c", CHILD, str(mosquitto.port)]
    with Client(mosquitto.port) as camera, subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        assert [child.stdout.readline().strip() for _ in range(2)] == ["Connected", "Subscribed"]
        camera.publish(TOPIC, b"1")
        assert child.stdout.readline().strip() == "1"
        child.kill()
        child.wait()
        camera.publish(TOPIC, b"2")
        watched = make_link(mosquitto.port, **EVERY).start()
        assert watched.wait_for(Connected).session_present
        for expected, redelivered in ((b"1", True), (b"2", False)):
            message = watched.message()
            assert (message.payload, message.redelivered) == (expected, redelivered)
            watched.answer(message)


def test_retained_messages_do_not_come_again_at_a_reconnect(
    mosquitto: Mosquitto, make_link: Callable[..., Watched]
) -> None:
    """An old image that the broker keeps would look like a new frame after each cut."""
    with Proxy(mosquitto.port) as proxy, Client(mosquitto.port) as camera:
        camera.publish(TOPIC, b"kept", retain=True)
        watched = make_link(proxy.port, **EVERY).ready()
        message = watched.message()
        assert message.retained
        watched.answer(message)
        watched.link.publish(Outgoing("out", b""))
        watched.wait_for(Published)  # so the acknowledgement before it has arrived, too
        proxy.cut()
        watched.wait_for(Subscribed)
        camera.publish(TOPIC, b"live")
        assert watched.message().payload == b"live"


# -- limits ------------------------------------------------------------------------------------------------------------


# -- the will, and the end ---------------------------------------------------------------------------------------------


def test_a_clean_stop_sends_what_is_queued_and_no_will(mosquitto: Mosquitto, make_link: Callable[..., Watched]) -> None:
    """The last word is the worker's own."""
    with Client(mosquitto.port, "status") as consumer:
        watched = make_link(mosquitto.port, will=Will("status", b"lost"), will_delay_s=0).ready()
        watched.link.publish(Outgoing("status", b"stopped", retain=True))
        watched.link.stop(Deadline(5.0))
        assert not watched.link.healthy()
        assert [message.payload for message in consumer.wait_for(1)] == [b"stopped"]
        with Client(mosquitto.port, "status") as later:
            assert later.wait_for(1)[0].payload == b"stopped"


def test_a_lost_link_is_announced_by_its_will(mosquitto: Mosquitto, make_link: Callable[..., Watched]) -> None:
    """Retained, with its content type, when the connection breaks and does not come back."""
    with Client(mosquitto.port, "status") as consumer, Proxy(mosquitto.port) as proxy:
        make_link(proxy.port, will=Will("status", b"lost"), will_delay_s=0).ready()
        proxy.close()
        proxy.cut()
        message = consumer.wait_for(1)[0]
    properties: Any = message.properties
    assert (message.payload, properties.ContentType) == (b"lost", "application/json")


def test_a_short_cut_is_not_announced(mosquitto: Mosquitto, make_link: Callable[..., Watched]) -> None:
    """Back within the will's delay, nobody hears of it."""
    with Client(mosquitto.port, "status") as consumer, Proxy(mosquitto.port) as proxy:
        watched = make_link(proxy.port, will=Will("status", b"lost"), will_delay_s=1).ready()
        proxy.cut()
        watched.wait_for(Disconnected)
        watched.wait_for(Subscribed)
        watched.none_of(Disconnected, during_s=2.0)  # the broker checks delayed wills once a second
        assert consumer.messages == []


def test_a_stop_keeps_to_its_time_when_the_broker_hangs(
    mosquitto: Mosquitto, make_link: Callable[..., Watched]
) -> None:
    """Neither a queue that cannot be sent nor a frozen broker holds the process up."""
    watched = make_link(mosquitto.port).ready()
    mosquitto.freeze()
    watched.link.publish(Outgoing("out", b"x" * 1000, must_arrive=True))
    deadline = Deadline(1.0)
    watched.link.stop(deadline)
    assert deadline.remaining() >= 0
    wait_until(lambda: not watched.link.healthy(), "the thread has ended", timeout_s=1.0)


def test_a_stop_before_the_first_connection_is_at_once(make_link: Callable[..., Watched]) -> None:
    """A worker that waits for its broker can be stopped."""
    watched = make_link(1).start()
    deadline = Deadline(5.0)
    watched.link.stop(deadline)
    assert deadline.remaining() > 4.0


def test_a_defect_in_the_thread_is_seen(
    mosquitto: Mosquitto, make_link: Callable[..., Watched], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A dead thread must not look like a quiet broker: it is reported, and the link is not healthy."""
    watched = make_link(mosquitto.port).ready()
    assert watched.link.healthy()
    monkeypatch.setattr(watched.link._connection, "_write_pending", lambda: 1 / 0)
    assert "ZeroDivisionError" in watched.wait_for(Fatal).detail
    wait_until(lambda: not watched.link.healthy(), "not healthy")


def test_a_link_never_started_is_not_healthy_and_can_be_stopped(make_link: Callable[..., Watched]) -> None:
    """As when an earlier part of the start failed."""
    assert not make_link(1).link.healthy()


def test_publish_properties_are_the_cameras_too(mosquitto: Mosquitto, make_link: Callable[..., Watched]) -> None:
    """A camera's user properties arrive; of a repeated key the last value counts."""
    properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
    properties.UserProperty = [("frame-id", "1"), ("frame-id", "2"), ("captured-at", "now")]
    watched = make_link(mosquitto.port, subscriptions=[FRAMES]).ready()
    with Client(mosquitto.port) as camera:
        camera.publish(TOPIC, b"x", properties=properties)
    assert watched.message().properties == {"frame-id": "2", "captured-at": "now"}
