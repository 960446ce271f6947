"""The link on a real broker: messages, sessions, acknowledgements, limits, the will."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from threading import Event
from typing import TYPE_CHECKING, Any

import paho.mqtt.client as paho
import pytest
from brokers import Mosquitto, Proxy, wait_until
from links import WAIT_S, Client, Watched
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from edge_worker.common.deadline import Deadline
from edge_worker.common.errors import ResultTooLarge
from edge_worker.mqtt import connection, poison
from edge_worker.mqtt.events import Arrived, Connected, Disconnected, Fatal, Published, Shed, Subscribed
from edge_worker.mqtt.message import Incoming, Outgoing, Subscription, Will

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.mosquitto

FRAMES = Subscription("cameras/+/frame", 1)
TOPIC = "cameras/door/frame"
EVERY: dict[str, Any] = {"persistent": True, "receive_maximum": 1, "subscriptions": [FRAMES]}


def answer(watched: Watched, message: Incoming) -> None:
    """Publish a result and, when the broker has it, acknowledge the frame."""
    publication = watched.link.publish(Outgoing("results/door", message.payload, must_arrive=True))
    watched.wait_for(Published, lambda event: event.publication == publication and event.ok)
    acknowledge(watched, message)


def acknowledge(watched: Watched, message: Incoming) -> None:
    assert message.delivery is not None
    watched.link.acknowledge(message.delivery)


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
            answer(watched, message)


def leave_subscribed(port: int, client_id: str) -> None:
    """Leave a session behind that is subscribed to frames in QoS 2, as another program of that name may have."""
    subscribed = Event()
    client = paho.Client(CallbackAPIVersion.VERSION2, client_id, clean_session=False)
    client.on_subscribe = lambda *_: subscribed.set()
    client.connect("127.0.0.1", port)
    client.loop_start()
    client.subscribe(FRAMES.filter, qos=2)
    assert subscribed.wait(WAIT_S)
    client.disconnect()
    client.loop_stop()
    client._reset_sockets()


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
        answer(watched, again)
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
            answer(watched, message)
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
            acknowledge(watched, message)
        camera.publish(TOPIC, b"next")
        assert watched.message().payload == b"next"
    assert not any(isinstance(event, Shed | Disconnected) for event in watched.seen)


def test_frames_over_the_memory_budget_wait_at_the_broker(
    make_mosquitto: Callable[..., Mosquitto], make_link: Callable[..., Watched], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A reconnect fetches them, in order, when those in memory are acknowledged; the link counts as connected."""
    monkeypatch.setattr(connection, "MAX_BYTES", 1_000_000)
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
            acknowledge(watched, message)
        assert watched.wait_for(Disconnected).reason == "fetching 21 frames that there was no memory for"
        status = watched.link.status()
        assert (status.connected, status.subscribed, status.trouble) == (True, True, "")
        for number in range(9, 30):
            message = watched.message()
            assert message.payload[:2] == b"%02d" % number
            acknowledge(watched, message)


def test_retained_messages_do_not_come_again_at_a_reconnect(
    mosquitto: Mosquitto, make_link: Callable[..., Watched]
) -> None:
    """An old image that the broker keeps would look like a new frame after each cut."""
    with Proxy(mosquitto.port) as proxy, Client(mosquitto.port) as camera:
        camera.publish(TOPIC, b"kept", retain=True)
        watched = make_link(proxy.port, **EVERY).ready()
        message = watched.message()
        assert message.retained
        answer(watched, message)
        watched.link.publish(Outgoing("out", b""))
        watched.wait_for(Published)  # so the acknowledgement before it has arrived, too
        proxy.cut()
        watched.wait_for(Subscribed)
        camera.publish(TOPIC, b"live")
        assert watched.message().payload == b"live"


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


# -- limits ------------------------------------------------------------------------------------------------------------


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
