"""A link under test, and an independent client for the other side."""

from __future__ import annotations

import time
from contextlib import suppress
from queue import Empty, SimpleQueue
from threading import Event
from typing import TYPE_CHECKING, Any, Final, TypeVar

import paho.mqtt.client as paho
from brokers import wait_until
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from edge_worker.common.deadline import Deadline
from edge_worker.mqtt.events import Arrived, LinkEvent, Published, Subscribed
from edge_worker.mqtt.message import Outgoing, Subscription

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Self

    from paho.mqtt.properties import Properties

    from edge_worker.mqtt.link import Link
    from edge_worker.mqtt.message import Incoming

E = TypeVar("E")
WAIT_S = 30.0
FRAMES: Final = Subscription("cameras/+/frame", 1)
EVERY: Final[dict[str, Any]] = {"persistent": True, "receive_maximum": 1, "subscriptions": [FRAMES]}
"""Options of a link for the frames of `every` cameras, one at a time."""


class Watched:
    """A link with methods to wait for its events; started immediately or later, stopped at the end."""

    def __init__(self, link: Link, queue: SimpleQueue[LinkEvent]) -> None:
        self.link, self._queue = link, queue
        self.seen: list[LinkEvent] = []

    def start(self) -> Self:
        """Start the link."""
        self.link.start()
        return self

    def ready(self) -> Self:
        """Start the link and wait until all its subscriptions are granted."""
        self.start().wait_for(Subscribed)
        return self

    def acknowledge(self, message: Incoming) -> None:
        """Acknowledge *message*."""
        assert message.delivery is not None
        assert self.link.acknowledge(message.delivery)

    def answer(self, message: Incoming) -> None:
        """Publish a result and, once the broker has it, acknowledge the frame."""
        publication = self.link.publish(Outgoing("results/door", message.payload, must_arrive=True))
        self.wait_for(Published, lambda event: event.publication == publication and event.ok)
        self.acknowledge(message)

    def wait_for(self, kind: type[E], matching: Callable[[E], object] = lambda _: True, timeout_s: float = WAIT_S) -> E:
        """Wait for the next event of *kind* that is *matching*; earlier ones are kept in ``seen``."""
        deadline = time.monotonic() + timeout_s
        while True:
            try:
                event = self._queue.get(timeout=max(0.0, deadline - time.monotonic()))
            except Empty:
                tail = [str(event)[:200] for event in self.seen[-8:]]
                raise AssertionError(f"no {kind.__name__} within {timeout_s:g} s; before it: {tail}") from None
            self.seen.append(event)
            if isinstance(event, kind) and matching(event):
                return event

    def message(self, timeout_s: float = WAIT_S) -> Incoming:
        """Wait for the next message."""
        return self.wait_for(Arrived, timeout_s=timeout_s).message

    def none_of(self, kind: type[E], during_s: float) -> None:
        """Check that no event of *kind* comes for a time; the only wait for something not to happen."""
        deadline = time.monotonic() + during_s
        while (left := deadline - time.monotonic()) > 0:
            try:
                event = self._queue.get(timeout=left)
            except Empty:
                return
            self.seen.append(event)
            assert not isinstance(event, kind), event

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.link.stop(Deadline(2.0))


def disconnect(client: paho.Client) -> None:
    """Disconnect, and end the client's thread and sockets."""
    client.disconnect()
    with suppress(AttributeError):  # paho 2.2 joins a thread that may just have ended and been dropped
        client.loop_stop()
    client._reset_sockets()  # paho leaves them to the garbage collector, which warns


class Client:
    """A plain client, camera or consumer, independent of the code under test."""

    def __init__(
        self, port: int, *filters: str, qos: int = 1, v5: bool = True, client_id: str = "", **login: str
    ) -> None:
        protocol = MQTTProtocolVersion.MQTTv5 if v5 else MQTTProtocolVersion.MQTTv311
        self.messages: list[paho.MQTTMessage] = []
        self.disconnects: list[str] = []
        self._subscribed = Event()
        self._filters, self._qos = filters, qos
        self._paho = paho.Client(CallbackAPIVersion.VERSION2, client_id=client_id, protocol=protocol)
        if login:
            self._paho.username_pw_set(login["username"], login.get("password"))
        self._paho.on_message = lambda _client, _data, message: self.messages.append(message)
        self._paho.on_connect = lambda client, *_: self._connected(client)
        self._paho.on_subscribe = lambda *_: self._subscribed.set()
        self._paho.on_disconnect = lambda _c, _d, _f, reason, _p: self.disconnects.append(str(reason))
        self._paho.reconnect_delay_set(1, 1)
        self._paho.connect("127.0.0.1", port)
        self._paho.loop_start()
        assert self._subscribed.wait(WAIT_S)

    def _connected(self, client: paho.Client) -> None:
        if self._filters:
            client.subscribe([(topic, self._qos) for topic in self._filters])
        else:
            self._subscribed.set()

    def publish(
        self,
        topic: str,
        payload: bytes = b"",
        qos: int = 1,
        *,
        retain: bool = False,
        properties: Properties | None = None,
    ) -> None:
        """Publish, and wait until the broker has it."""
        self._paho.publish(topic, payload, qos, retain, properties).wait_for_publish(WAIT_S)

    def wait_for(self, count: int, timeout_s: float = WAIT_S) -> list[paho.MQTTMessage]:
        """Wait until *count* messages have come."""
        wait_until(lambda: len(self.messages) >= count, f"{count} messages (of them {len(self.messages)})", timeout_s)
        return self.messages

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        disconnect(self._paho)
