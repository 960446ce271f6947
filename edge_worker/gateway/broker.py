"""The gateway's one connection to the broker, seen from the event loop."""

from __future__ import annotations

import asyncio
import secrets
from functools import partial
from typing import TYPE_CHECKING, Final

import structlog

from edge_worker.common import log_events
from edge_worker.common.deadline import Deadline
from edge_worker.common.errors import ResultTooLarge
from edge_worker.config import Config, read_password
from edge_worker.gateway.problems import Problem
from edge_worker.mqtt import events
from edge_worker.mqtt.link import Link

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from edge_worker.mqtt.events import LinkEvent, Published
    from edge_worker.mqtt.message import Incoming, Outgoing, Subscription
    from edge_worker.mqtt.status import LinkStatus

_STOP_S: Final = 3.0
_CHANGES: Final = (
    events.Unreachable,
    events.Refused,
    events.FellBack,
    events.Disconnected,
    events.TakenOver,
    events.SubscriptionRefused,
    events.CapabilityMissing,
    events.ClientIdAssigned,
)
_log = structlog.get_logger(__name__)


class Broker:
    """A client whose messages arrive on the event loop; after ``start``, its methods are for the loop's thread only."""

    _loop: asyncio.AbstractEventLoop
    _link: Link

    def __init__(self, config: Config, environ: Mapping[str, str]) -> None:
        """Describe the connection; its client id is new for each process: gateways may share a configuration."""
        self._config, self._environ = config, environ
        self.client_id = f"{config.client_id}-gateway-{secrets.token_hex(4)}"
        self.on_message: Callable[[Incoming], None] = lambda _: None
        self.on_published: Callable[[Published], None] = lambda _: None

    def start(self, subscriptions: Sequence[Subscription]) -> None:
        """Start connecting, and keep reconnecting.

        Raises:
            ConfigError: certificates cannot be read.
        """
        self._loop = asyncio.get_running_loop()
        self._link = Link(
            self._config.mqtt,
            name="gateway",
            client_id=self.client_id,
            persistent=False,
            subscriptions=subscriptions,
            report=self._report,
            password=partial(read_password, self._config.mqtt, self._environ),
        )
        self._link.start()

    def stop(self) -> None:
        """Say goodbye."""
        self._link.stop(Deadline(_STOP_S))

    def status(self) -> LinkStatus:
        """Return the status of the connection."""
        return self._link.status()

    def max_packet(self) -> int:
        """How many bytes a message may have, as configured and as known of the broker."""
        return self._link.max_packet()

    def require(self) -> None:
        """Require that a request can be made now.

        Raises:
            Problem: ``no_broker``.
        """
        status = self.status()
        if not status.connected:
            raise Problem("no_broker", f"no connection to the broker: {status.trouble or 'connecting'}")
        if status.protocol == "3.1.1":
            raise Problem("no_broker", "the broker speaks MQTT 3.1.1 only; requests need a Response Topic, so MQTT 5")

    def publish(self, message: Outgoing) -> None:
        """Publish *message*.

        Raises:
            Problem: ``too_big`` for the broker or the configuration, ``refused`` where its topic may be forbidden.
        """
        try:
            self._link.publish(message)
        except ResultTooLarge as error:
            raise Problem(error.reason, str(error)) from error

    def _report(self, event: LinkEvent) -> None:
        """Hand *event* to the loop. Called by the link's thread."""
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._take, event)

    def _take(self, event: LinkEvent) -> None:
        if isinstance(event, events.Arrived):
            self.on_message(event.message)
        elif isinstance(event, events.Published):
            self.on_published(event)
        elif isinstance(event, events.Connected):
            _log.info(log_events.LINK_CONNECTED, link=event.link, protocol=event.protocol)
        elif isinstance(event, _CHANGES):
            _log.warning(log_events.GATEWAY_LINK, link=event.link, problem=getattr(event, "reason", "") or repr(event))
