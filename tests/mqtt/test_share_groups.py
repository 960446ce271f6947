"""Shared subscriptions: a group's frames, and how a member leaves it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from brokers import Proxy
from links import WAIT_S, Client, Watched

from edge_worker.common.deadline import Deadline
from edge_worker.mqtt.events import (
    Connected,
    Disconnected,
)
from edge_worker.mqtt.message import Subscription

if TYPE_CHECKING:
    from collections.abc import Callable

    from brokers import Mosquitto

    from edge_worker.mqtt.message import Incoming

pytestmark = [pytest.mark.mosquitto, pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")]


def test_a_shared_subscription_is_asked_for_as_one(mosquitto: Mosquitto, make_link: Callable[..., Watched]) -> None:
    """Two workers of a group share the frames between them."""
    shared: Any = [Subscription("cameras/+/frame", 1, share_group="parsers")]
    workers = [make_link(mosquitto.port, client_id=name, subscriptions=shared).ready() for name in ("a", "b")]
    with Client(mosquitto.port) as camera:
        for number in range(10):
            camera.publish("cameras/door/frame", b"%d" % number)
    payloads = [worker.message().payload for worker in workers for _ in range(5)]
    assert sorted(payloads) == [b"%d" % number for number in range(10)]


def test_the_frames_of_a_group_outlive_a_member(mosquitto: Mosquitto, make_link: Callable[..., Watched]) -> None:
    """What the broker gave a member that was lost waits for it, the frame in its hands first; the other goes on."""
    shared: Any = [Subscription("cameras/+/frame", 1, share_group="parsers")]
    member: Any = {"protocol": "5", "persistent": True, "receive_maximum": 1, "subscriptions": shared}
    frames = [b"%d" % number for number in range(10)]
    with Proxy(mosquitto.port) as proxy, Client(mosquitto.port) as camera:
        lost = make_link(proxy.port, client_id="a", **member).ready()
        alive = make_link(mosquitto.port, client_id="b", **member).ready()
        for frame in frames[:6]:
            camera.publish("cameras/door/frame", frame)
        in_its_hands = lost.message().payload
        proxy.close()
        proxy.cut()
        lost.wait_for(Disconnected)
        for frame in frames[6:]:
            camera.publish("cameras/door/frame", frame)
        by_the_other = [acknowledged(alive).payload for _ in range(5)]
        back = make_link(mosquitto.port, client_id="a", **member).start()
        by_the_lost = [acknowledged(back) for _ in range(5)]
    assert (by_the_lost[0].payload, by_the_lost[0].redelivered) == (in_its_hands, True)
    assert sorted(by_the_other + [message.payload for message in by_the_lost]) == frames


def acknowledged(watched: Watched) -> Incoming:
    """Wait for the next message, and acknowledge it."""
    message = watched.message()
    watched.acknowledge(message)
    return message


def test_a_group_that_was_left_is_not_joined_again(mosquitto: Mosquitto, make_link: Callable[..., Watched]) -> None:
    """Not by a reconnect before the end either; what the broker had chosen this member for still arrives."""
    shared: Any = [Subscription("cameras/+/frame", 1, share_group="parsers")]
    member: Any = {"protocol": "5", "persistent": True, "receive_maximum": 1, "subscriptions": shared}
    with Proxy(mosquitto.port) as proxy, Client(mosquitto.port) as camera:
        worker = make_link(proxy.port, **member).ready()
        for frame in (b"1", b"2"):
            camera.publish("cameras/door/frame", frame)
        assert worker.message().payload == b"1"
        assert worker.link.leave_share_groups(Deadline(WAIT_S)) == ""
        proxy.cut()
        worker.wait_for(Connected)
        assert [acknowledged(worker).payload for _ in range(2)] == [b"1", b"2"]
        with Client(mosquitto.port, "$share/parsers/cameras/+/frame") as other:
            for frame in (b"3", b"4"):
                camera.publish("cameras/door/frame", frame)
            assert [message.payload for message in other.wait_for(2)] == [b"3", b"4"]


def test_an_absent_broker_is_not_waited_for(mosquitto: Mosquitto, make_link: Callable[..., Watched]) -> None:
    """It cannot be told; the worker stops all the same, and says that it is still a member."""
    shared: Any = [Subscription("cameras/+/frame", 1, share_group="parsers")]
    worker = make_link(mosquitto.port, subscriptions=shared).ready()
    mosquitto.stop()
    worker.wait_for(Disconnected)
    deadline = Deadline(WAIT_S)
    assert worker.link.leave_share_groups(deadline) == "the broker does not answer"
    assert deadline.remaining() > WAIT_S / 2
