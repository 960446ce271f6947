"""A connection to the broker that comes back for ever. The only user of paho-mqtt."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from queue import SimpleQueue

    from edge_worker.config import MqttConfig
    from edge_worker.frames import Delivery
    from edge_worker.lifecycle import Deadline
    from edge_worker.mqtt.events import LinkEvent, LinkStatus, Outgoing, Subscription, Will


class Link:
    """One client of the broker, with one thread of its own, reporting through a queue. Every method may be called from any thread."""

    def __init__(
        self,
        config: MqttConfig,
        *,
        name: str,
        client_id: str,
        persistent: bool,
        subscriptions: Sequence[Subscription],
        events: SimpleQueue[LinkEvent],
        password: Callable[[], str | None],
        will: Will | None = None,
        receive_maximum: int | None = None,
    ) -> None:
        """Describe the link; nothing is opened before :meth:`start`."""

    def start(self) -> None:
        """Begin connecting. Raises ConfigError when certificates cannot be read."""
        raise NotImplementedError

    def stop(self, deadline: Deadline) -> None:
        """Publish what is queued, say goodbye (no will), end the thread: all inside *deadline*."""
        raise NotImplementedError

    def publish(self, message: Outgoing) -> int:
        """Hand a message over; a ``Published`` event tells its end. Returns ``message.publication``. Raises ResultTooLarge."""
        raise NotImplementedError

    def acknowledge(self, delivery: Delivery) -> bool:
        """Acknowledge a message on the connection it came by; False when that is gone (the broker will send it again)."""
        raise NotImplementedError

    def healthy(self) -> bool:
        """Whether the link's thread is alive and advances (connected or not)."""
        raise NotImplementedError

    def status(self) -> LinkStatus:
        """Tell how the link stands."""
        raise NotImplementedError
