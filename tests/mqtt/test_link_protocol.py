"""The link and brokers that misbehave, byte by byte."""

from __future__ import annotations

import time
from contextlib import suppress
from threading import Event, Thread
from typing import TYPE_CHECKING

import pytest
from brokers import (
    CONNECT,
    DISCONNECT,
    PUBACK,
    PUBLISH,
    READY_S,
    SUBSCRIBE,
    FakeBroker,
    Peer,
    wait_until,
)
from links import EVERY

from edge_worker.common.deadline import Deadline
from edge_worker.mqtt import poison, subscriber
from edge_worker.mqtt.events import (
    Arrived,
    Disconnected,
    Fatal,
    LinkEvent,
    Published,
    SessionShortened,
    Subscribed,
    SubscriptionRefused,
    Unreachable,
)
from edge_worker.mqtt.message import Outgoing, Subscription, Will

if TYPE_CHECKING:
    from collections.abc import Callable

    from links import Watched


# -- what must never be on the wire ------------------------------------------------------------------------------------


def test_connect_is_the_first_packet_of_every_connection(
    make_link: Callable[..., Watched], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Acknowledgements and publications of a lost connection never come before CONNECT, which breaks it (P5)."""
    monkeypatch.setattr(poison, "STABLE_S", 0.05)  # how long it doubts a message under which connections end

    def deliver(peer: Peer) -> None:
        peer.accept(session_present=True)
        peer.grant(1)
        peer.publish("cameras/door/frame", b"x", mid=1, again=True)
        peer.read_until(PUBLISH)

    with FakeBroker(deliver) as broker:
        watched = make_link(broker.port, **EVERY).start()
        for _ in range(8):
            message = watched.message()
            watched.link.publish(Outgoing("out", b"y", must_arrive=True))
            watched.wait_for(Disconnected)
            assert message.delivery is not None
            watched.link.acknowledge(message.delivery)
        packets = [peer.packets for peer in broker.peers if peer.packets]
    assert len(packets) >= 8
    assert {sent[0][0] for sent in packets} == {CONNECT}


def test_a_stale_acknowledgement_is_never_sent(make_link: Callable[..., Watched]) -> None:
    """Packet numbers begin anew with a new session: the old frame's would acknowledge, and lose, another (P6)."""

    def first(peer: Peer) -> None:
        peer.accept()
        peer.grant(1)
        peer.publish("cameras/door/frame", b"A", mid=1)
        time.sleep(0.1)

    def second(peer: Peer) -> None:
        peer.accept()
        peer.grant(1)
        peer.publish("cameras/door/frame", b"B", mid=1)
        broker.hold(peer)

    with FakeBroker(first, second) as broker:
        watched = make_link(broker.port, **EVERY).start()
        old, new = watched.message(), watched.message()
        assert (old.payload, new.payload) == (b"A", b"B")
        assert old.delivery is not None
        assert not watched.link.acknowledge(old.delivery)
        watched.link.publish(Outgoing("out", b"", qos=0))
        watched.wait_for(Published)
        assert new.delivery is not None
        assert watched.link.acknowledge(new.delivery)
        wait_until(lambda: any(kind == PUBACK for kind, _ in broker.peers[1].packets), "acknowledged")
    kinds = [kind & 0xF0 for kind, _ in broker.peers[1].packets]
    assert kinds.index(PUBACK) > kinds.index(PUBLISH), "the new delivery's only"
    assert kinds.count(PUBACK) == 1


def test_connect_says_what_the_design_needs(make_link: Callable[..., Watched]) -> None:
    """Session expiry and Receive Maximum, no Maximum Packet Size, and never a clean start on a persistent link."""

    def take(peer: Peer) -> None:
        peer.accept()
        peer.grant(1)
        broker.hold(peer)

    with FakeBroker(take) as broker:
        make_link(broker.port, **EVERY, session_expiry_s=3600).ready()
    connect = broker.peers[0].packets[0][1]
    flags, keepalive, length = connect[7], connect[8:10], connect[10]
    assert flags & 0x02 == 0
    assert int.from_bytes(keepalive, "big") == 21, "seven tenths of 30"
    assert connect[11 : 11 + length] == bytes([17, 0, 0, 14, 16, 33, 0, 1])


# -- brokers that misbehave --------------------------------------------------------------------------------------------


def test_a_refused_subscription_is_reported_and_tried_again(
    make_link: Callable[..., Watched], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only the refused filter is asked for again; until then the link says that it is not subscribed."""
    monkeypatch.setattr(subscriber, "RETRY_S", (0.05,))

    def refuse_one(peer: Peer) -> None:
        peer.accept()
        peer.grant(1, 0x87)
        peer.grant(0x87)
        peer.grant(1)
        broker.hold(peer)

    filters = [Subscription("good", 1), Subscription("bad", 1, share_group="g")]
    with FakeBroker(refuse_one) as broker:
        watched = make_link(broker.port, subscriptions=filters).start()
        for _ in range(2):
            refusal = watched.wait_for(SubscriptionRefused)
            assert (refusal.filter, refusal.reason) == ("bad", "Not authorized")
        watched.wait_for(Subscribed)
    asked = [body for kind, body in broker.peers[0].packets if kind == SUBSCRIBE]
    assert [b"good" in body for body in asked] == [True, False, False]
    assert all(b"$share/g/bad" in body for body in asked)


def test_a_subscription_granted_for_less_is_said(make_link: Callable[..., Watched]) -> None:
    """In QoS 0 the broker keeps no frame for us: `every` would promise what it cannot hold, and nobody would know."""

    def grant_less(peer: Peer) -> None:
        peer.accept()
        peer.grant(0)
        broker.hold(peer)

    with FakeBroker(grant_less) as broker:
        refusal = make_link(broker.port, **EVERY).start().wait_for(SubscriptionRefused)
        assert refusal.reason == "granted in QoS 0 only"
        make_link(broker.port, subscriptions=EVERY["subscriptions"]).ready()


def test_a_subscription_without_answer_ends_the_connection(make_link: Callable[..., Watched]) -> None:
    """Else the worker would wait for frames for ever, connected and deaf."""

    def deaf(peer: Peer) -> None:
        peer.accept()
        broker.hold(peer)

    with FakeBroker(deaf) as broker:
        watched = make_link(broker.port, **EVERY, connack_timeout_s=0.3).start()
        assert "no answer to SUBSCRIBE" in watched.wait_for(Disconnected).reason


def test_a_stop_finds_an_answer_overdue(make_link: Callable[..., Watched]) -> None:
    """The thread was held up until both were true: it breaks off, with nothing left to say goodbye to; no defect."""
    is_held_up, may_go_on = Event(), Event()

    def deaf(peer: Peer) -> None:
        peer.accept()
        peer.read_until(SUBSCRIBE)
        peer.publish("cameras/door/frame", b"x", mid=1)
        broker.hold(peer)

    with FakeBroker(deaf) as broker:
        watched = make_link(broker.port, **EVERY, connack_timeout_s=0.2)
        link, report = watched.link, watched.link._report

        def wait_for_room(event: LinkEvent) -> None:
            if isinstance(event, Arrived):
                is_held_up.set()
                may_go_on.wait(READY_S)
            report(event)

        link._report = wait_for_room
        watched.start()
        assert is_held_up.wait(READY_S)
        time.sleep(0.2)  # until the answer is overdue
        stopper = Thread(target=link.stop, args=(Deadline(READY_S),))
        stopper.start()
        wait_until(link._stopping.is_set, "the stop is asked for")
        may_go_on.set()
        stopper.join(READY_S)
        watched.none_of(Fatal, 0.1)


def test_a_result_called_too_large_is_given_up(make_link: Callable[..., Watched]) -> None:
    """DISCONNECT with reason 0x95, alone in flight: given up at once, not sent for ever."""

    def choke(peer: Peer) -> None:
        peer.accept()
        peer.read_until(PUBLISH)
        peer.write(DISCONNECT, bytes([0x95]))

    with FakeBroker(choke) as broker:
        watched = make_link(broker.port).ready()
        watched.link.publish(Outgoing("out", b"x" * 100, must_arrive=True))
        assert not watched.wait_for(Published).ok
        assert "Packet too large" in watched.wait_for(Disconnected).reason


def test_a_topic_that_is_no_text_is_acknowledged_and_forgotten(make_link: Callable[..., Watched]) -> None:
    """Left alone it would block the window of one for ever."""

    def send(peer: Peer) -> None:
        peer.accept()
        peer.grant(1)
        peer.write_raw(bytes([PUBLISH | 2, 8, 0, 2, 0xFF, 0xFE, 0, 9, 0, 65]))
        assert peer.read_until(PUBACK)[:2] == b"\0\x09"
        peer.publish("cameras/door/frame", b"next", mid=10)
        broker.hold(peer)

    with FakeBroker(send) as broker:
        watched = make_link(broker.port, **EVERY).start()
        assert watched.message().payload == b"next"


@pytest.mark.parametrize(
    "garbage",
    [b"\xf0\x00" * 8, b"\x90\x01\x00", b"\x40\x03\x00\x01\x95", bytes(range(256)), b"\x30\xff\xff\xff\xff\x7f"],
)
def test_garbage_ends_the_connection_not_the_link(make_link: Callable[..., Watched], garbage: bytes) -> None:
    """What is no MQTT is a bad connection; the thread lives and connects again."""

    def talk_garbage(peer: Peer) -> None:
        peer.accept()
        peer.grant(1)
        peer.write_raw(garbage)
        broker.hold(peer)

    with FakeBroker(talk_garbage) as broker:
        watched = make_link(broker.port, **EVERY).ready()
        watched.wait_for(Disconnected)
        watched.wait_for(Subscribed)
        assert watched.link.healthy()


def test_the_brokers_keepalive_is_obeyed_and_reported(make_link: Callable[..., Watched]) -> None:
    """Server Keep Alive takes the place of what we asked for."""

    def demand(peer: Peer) -> None:
        peer.accept(properties=bytes([19, 0, 7]))
        broker.hold(peer)

    with FakeBroker(demand) as broker:
        watched = make_link(broker.port).ready()
        assert watched.link.status().keepalive_s == 7


def test_a_session_that_will_not_last_as_long_is_said(make_link: Callable[..., Watched]) -> None:
    """Frames that wait at the broker end with it; for a link that leaves none there it does not matter."""

    def keep_a_minute(peer: Peer) -> None:
        peer.accept(properties=bytes([17, 0, 0, 0, 60]))
        peer.grant(1)
        broker.hold(peer)

    live = {"subscriptions": EVERY["subscriptions"], "will": Will("status", b"lost"), "will_delay_s": 100}
    with FakeBroker(keep_a_minute) as broker:
        said = make_link(broker.port, **EVERY).start().wait_for(SessionShortened)
        assert (said.asked_s, said.granted_s) == (86_400, 60)
        for content in (make_link(broker.port, **EVERY, session_expiry_s=60), make_link(broker.port, **live)):
            assert not any(isinstance(event, SessionShortened) for event in content.ready().seen)


# paho forgets a socket whose handshake failed; it is closed when the error is forgotten, too, with a warning.
@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")
def test_a_server_of_another_kind_is_no_reason_to_end(make_link: Callable[..., Watched]) -> None:
    """Its answer to the websocket handshake is one that paho stumbles over; a wrong port is a bad connection."""

    def answer(peer: Peer) -> None:
        peer._connection.recv(4096)
        peer.write_raw(b"HTTP/1.1 101 Switching Protocols\r\nSec-WebSocket-Accept:none\r\n\r\n")

    with FakeBroker(answer) as broker:
        watched = make_link(broker.port, transport="websockets").start()
        assert "websocket" in watched.wait_for(Unreachable).reason
        watched.wait_for(Unreachable)


@pytest.mark.parametrize("keepalive_s", [0, 600])
def test_a_patient_broker_does_not_make_us_patient(make_link: Callable[..., Watched], keepalive_s: int) -> None:
    """It may ask for less to be sent, or for nothing at all: a dead connection is noticed in the configured time."""

    def fall_silent(peer: Peer) -> None:
        peer.accept(properties=bytes([19, *keepalive_s.to_bytes(2, "big")]))
        with suppress(OSError):
            while True:
                peer.read()

    with FakeBroker(fall_silent) as broker:
        watched = make_link(broker.port, keepalive_s=5)
        watched.link._config = watched.link._config.model_copy(update={"keepalive_s": 2})
        watched.ready()
        assert "keepalive" in watched.wait_for(Disconnected, timeout_s=READY_S).reason
