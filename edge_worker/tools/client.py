"""A tool's connection to the broker: one link, whose ups and downs are told to the user in a line each."""

from __future__ import annotations

import os
import sys
import time
from functools import partial
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING

from edge_worker.common.deadline import Deadline
from edge_worker.config import read_password
from edge_worker.errors import EdgeWorkerError
from edge_worker.mqtt.events import (
    Connected,
    Disconnected,
    Fatal,
    FellBack,
    LinkEvent,
    PublicationRefused,
    Refused,
    Subscribed,
    SubscriptionRefused,
    TakenOver,
    Unreachable,
)
from edge_worker.mqtt.link import Link

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType
    from typing import Self

    from edge_worker.config import Config
    from edge_worker.mqtt.events import Outgoing, Subscription

# Time to publish what is queued and say goodbye.
STOP_S = 5.0


class Client:
    """A context that holds a connection to the broker of *config*."""

    def __init__(self, config: Config, *, role: str, subscriptions: Sequence[Subscription] = ()) -> None:
        """Describe the connection of a tool whose part is *role*."""
        self._broker = config.mqtt.address
        self._role, self._subscribes = role, bool(subscriptions)
        self._trouble = ""
        self._events: SimpleQueue[LinkEvent] = SimpleQueue()
        self._link = Link(
            config.mqtt,
            name=role,
            client_id=f"{config.client_id}-{role}-{os.getpid()}",
            persistent=False,
            subscriptions=subscriptions,
            report=self._events.put,
            password=partial(read_password, config.mqtt, os.environ),
        )

    def __enter__(self) -> Self:
        """Begin connecting."""
        self._link.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Publish what is queued and disconnect."""
        self._link.stop(Deadline(STOP_S))

    def publish(self, message: Outgoing) -> int:
        """Hand *message* over; returns its number, which a ``Published`` event repeats.

        Raises:
            ResultTooLarge: it is larger than the configuration or the broker allows.
        """
        return self._link.publish(message)

    def next(self, timeout_s: float) -> LinkEvent | None:
        """Wait at most *timeout_s* for an event; changes of the connection are told to the user on the way.

        Raises:
            EdgeWorkerError: the broker refuses us and will go on doing so, or the link is dead.
        """
        try:
            event = self._events.get(timeout=timeout_s)
        except Empty:
            return None
        self._tell(event)
        return event

    def wait_connected(self) -> None:
        """Wait until the broker lets us in, as long as that takes.

        Raises:
            EdgeWorkerError: as :meth:`next`.
        """
        while not isinstance(self.next(timeout_s=1.0), Connected):
            pass

    def _tell(self, event: LinkEvent) -> None:
        """Write what happened to the connection to standard error; the same trouble twice in a row only once."""
        match event:
            case Fatal(detail=detail) | Refused(reason=detail, permanent=True):
                raise EdgeWorkerError(f"{self._broker}: {detail}")
            case SubscriptionRefused(filter=topics, reason=reason):
                raise EdgeWorkerError(f"{self._broker}: subscription to {topics} refused: {reason}")
            case Connected(protocol=protocol):
                self._note(f"connected, MQTT {protocol}")
            case Subscribed() if self._subscribes:
                self._note("subscribed")
            case PublicationRefused(topic=topic, reason=reason):
                self._note(f"publishing to {topic} refused: {reason}; it is tried again")
            case TakenOver():
                self._note("another client uses our client id")
            case (
                Unreachable(reason=reason)
                | Refused(reason=reason)
                | FellBack(reason=reason)
                | Disconnected(reason=reason)
            ):
                self._note(reason)

    def _note(self, text: str) -> None:
        if text != self._trouble:
            sys.stderr.write(f"{time.strftime('%H:%M:%S')} {self._role}: {self._broker}: {text}\n")
        self._trouble = text
