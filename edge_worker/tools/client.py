"""A tool's connection to the broker: one link, whose changes are reported to the user in a line each."""

from __future__ import annotations

import math
import os
import sys
import time
from contextlib import suppress
from functools import partial
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Self, TypeVar

from pydantic import ValidationError

from edge_worker.common.deadline import Deadline
from edge_worker.common.errors import EdgeWorkerError
from edge_worker.config import Config, read_password
from edge_worker.mqtt.events import (
    Arrived,
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
    from collections.abc import Iterator, Sequence
    from types import TracebackType

    from edge_worker.messages import Message
    from edge_worker.mqtt.message import Incoming, Outgoing, Subscription

# Seconds to publish what is queued and disconnect; the latter alone if the tool failed.
STOP_S, GOODBYE_S = 5.0, 0.5
Kind = TypeVar("Kind", bound="Message")


class Client:
    """Context manager of a connection to the broker of *config*."""

    def __init__(
        self, config: Config, *, role: str, subscriptions: Sequence[Subscription] = (), quiet: bool = False
    ) -> None:
        """Prepare the connection of a tool in the given *role*; if *quiet*, only problems are reported."""
        self._broker = config.mqtt.address
        self._role, self._subscribes, self._quiet = role, bool(subscriptions), quiet
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
        """Start connecting."""
        self._link.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Publish what is queued and disconnect."""
        self._link.stop(Deadline(STOP_S if kind is None else GOODBYE_S))

    def publish(self, message: Outgoing) -> int:
        """Queue *message*; returns its number, which its ``Published`` event repeats.

        Raises:
            ResultTooLarge: it is larger than the configuration or the broker allows.
        """
        return self._link.publish(message)

    def next(self, timeout_s: float) -> LinkEvent | None:
        """Wait at most *timeout_s* for an event; changes of the connection are reported to the user.

        Raises:
            EdgeWorkerError: the broker refuses us or what we publish, or the link is dead. Rights may be granted later,
                but a tool does not wait for that.
        """
        if withheld := self._link.status().withheld:
            raise EdgeWorkerError(f"{self._broker}: publishing to {withheld} is refused: see the broker's access list")
        try:
            event = self._events.get(timeout=timeout_s)
        except Empty:
            return None
        self._tell(event)
        return event

    def wait_connected(self) -> None:
        """Wait until the broker accepts us, without a time limit.

        Raises:
            EdgeWorkerError: as :meth:`next`.
        """
        while not isinstance(self.next(timeout_s=1.0), Connected):
            pass

    def wait_subscribed(self, within_s: float) -> None:
        """Wait until all subscriptions are granted.

        Raises:
            EdgeWorkerError: as :meth:`next`, or they are not granted *within_s*.
        """
        deadline = Deadline(within_s)
        while not isinstance(self.next(deadline.remaining()), Subscribed):
            if deadline.remaining() <= 0:
                raise EdgeWorkerError(f"{self._broker}: no connection within {within_s:g} s")

    def messages(self, within_s: float, silence_s: float = math.inf) -> Iterator[Incoming]:
        """Yield the messages that arrive *within_s*, until there is none for *silence_s*.

        Raises:
            EdgeWorkerError: as :meth:`next`.
        """
        deadline = Deadline(within_s)
        while (left := deadline.remaining()) > 0:
            event = self.next(min(left, silence_s))
            if isinstance(event, Arrived):
                yield event.message
            elif event is None:
                return

    def read(self, kind: type[Kind], within_s: float, silence_s: float = math.inf) -> Iterator[Kind]:
        """Yield the messages of *kind* among :meth:`messages`; skip others, and cleared retained messages."""
        for message in self.messages(within_s, silence_s):
            with suppress(ValidationError):
                yield kind.model_validate_json(message.payload)

    def _tell(self, event: LinkEvent) -> None:
        """Write what happened to the connection to standard error; a repeated problem only once."""
        match event:
            case Fatal(detail=detail) | Refused(reason=detail, permanent=True):
                raise EdgeWorkerError(f"{self._broker}: {detail}")
            case SubscriptionRefused(filter=topics, reason=reason):
                raise EdgeWorkerError(f"{self._broker}: subscription to {topics} refused: {reason}")
            case Connected() | Subscribed() if self._quiet:
                pass
            case Connected(protocol=protocol):
                self._note(f"connected, MQTT {protocol}")
            case Subscribed() if self._subscribes:
                self._note("subscribed")
            case PublicationRefused(topic=topic, reason=reason):
                raise EdgeWorkerError(
                    f"{self._broker}: publishing to {topic} ({reason}) is refused: see the broker's access list"
                )
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
