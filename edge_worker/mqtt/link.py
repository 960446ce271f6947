"""A client of the broker that reconnects for as long as it runs.

One thread per link does everything: connect, exchange packets (:mod:`.connection`), find out why it ended, wait,
connect again (:mod:`.reconnection`). Each connection is a fresh :class:`.paho.connection.PahoConnection`; the outbox
and the status outlive it.
"""

from __future__ import annotations

import time
from contextlib import closing
from dataclasses import replace
from threading import Event, Thread
from typing import TYPE_CHECKING, Final

import structlog

from edge_worker.common import log_events
from edge_worker.common.errors import ConfigError, ResultTooLarge
from edge_worker.common.topics import is_publishable
from edge_worker.config.tls_context import make_context
from edge_worker.mqtt.connection import Connection
from edge_worker.mqtt.events import Fatal, PublicationRefused, Published
from edge_worker.mqtt.link_context import LinkContext
from edge_worker.mqtt.outbox import Outbox
from edge_worker.mqtt.paho.connection import PahoConnection
from edge_worker.mqtt.reachability import unreachable
from edge_worker.mqtt.reconnection import Identity, Reconnection
from edge_worker.mqtt.share_groups import ShareGroups
from edge_worker.mqtt.size_limit import PacketLimit
from edge_worker.mqtt.status import StatusBoard
from edge_worker.mqtt.waker import Waker

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from edge_worker.common.deadline import Deadline
    from edge_worker.config.mqtt import MqttConfig
    from edge_worker.frames.frame import Delivery
    from edge_worker.mqtt.ending import Ending
    from edge_worker.mqtt.events import LinkEvent
    from edge_worker.mqtt.message import Outgoing, Subscription, Will
    from edge_worker.mqtt.outbox import GivenUp
    from edge_worker.mqtt.status import LinkStatus

_LINGER_S: Final = 1.0  # for the broker to read our DISCONNECT
_log = structlog.get_logger(__name__)


class Link:
    """One client of the broker, reporting what happens. Every method may be called from any thread."""

    def __init__(
        self,
        config: MqttConfig,
        *,
        name: str,
        client_id: str,
        persistent: bool,
        subscriptions: Sequence[Subscription],
        report: Callable[[LinkEvent], None],
        password: Callable[[], str | None],
        will: Will | None = None,
        receive_maximum: int | None = None,
        forgets: bool = False,
        acks_in_order: bool = False,
    ) -> None:
        """Describe the link; nothing is opened before :meth:`start`.

        A *persistent* link has a session that outlives it, and its QoS 1 messages wait for :meth:`acknowledge`, at
        most *receive_maximum* at a time; one that *forgets* only waits for them: the broker drops the session with the
        connection. With *acks_in_order* acknowledgements wait for those of older messages. *report* is called from any
        thread; it may block only for a message that arrived, which keeps the link from reading more. *password* is
        called for each attempt to connect.
        """
        self._config, self._name = config, name
        self._report, self._subscriptions = report, tuple(subscriptions)
        self._outbox, self._status_board = Outbox(), StatusBoard(config.keepalive_s)
        self._reconnection = Reconnection(
            config,
            name=name,
            identity=Identity(config, client_id, persistent, will, receive_maximum, password, forgets),
            outbox=self._outbox,
            status_board=self._status_board,
            report=report,
        )
        self._connection: Connection | None = None
        self._epoch = 0
        self._waker: Waker | None = None
        self._leave_by: Deadline | None = None
        self._stopping = Event()
        self._share_groups, self._acks_in_order = ShareGroups(subscriptions), acks_in_order
        self._thread = Thread(target=self._run, name=f"link-{name}", daemon=True)

    # -- any thread ---------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Start connecting; the link reconnects until it is stopped.

        Raises:
            ConfigError: certificates cannot be read.
        """
        if self._config.tls is not None:
            make_context(self._config.tls)
            if not self._config.tls.verify:
                _log.warning(log_events.CERTIFICATE_NOT_VERIFIED, link=self._name)
        self._thread.start()

    def stop(self, deadline: Deadline) -> None:
        """Publish what is queued and disconnect, so that no will is published; all inside *deadline*."""
        self._leave_by = deadline
        self._stopping.set()
        self._wake()
        if self._thread.ident is not None:
            self._thread.join(deadline.remaining())

    def leave_share_groups(self, deadline: Deadline) -> str:
        """Unsubscribe from share groups until this process ends; returns why that failed, empty if it did not.

        Frames that the broker has already assigned to this member still arrive.
        """
        return self._share_groups.leave(deadline, self._wake, lambda: self._status_board.status.connected)

    def publish(self, message: Outgoing) -> int:
        """Queue *message*, connected or not; a ``Published`` event tells its outcome. Returns ``message.publication``.

        Raises:
            ResultTooLarge: it is over ``mqtt.max_result_mb``, or over what the broker takes.
        """
        size = message.packet_size
        limit = self.packet_limit(message.topic)
        if size > limit.bytes:
            raise ResultTooLarge(size, limit.bytes, doubtful_topic=message.topic if limit.supposed else "")
        if is_publishable(message.topic):
            self._report_lost(self._outbox.add(message, size, time.monotonic()))
        else:
            self._report(Published(self._name, message.publication, ok=False, reason="no topic to publish to"))
        self._wake()
        return message.publication

    def acknowledge(self, delivery: Delivery) -> bool:
        """Acknowledge a message on the connection it came by; False when that is gone: the broker will send it again.

        On any other connection the same number means another message, which would be lost.
        """
        connection = self._connection
        same = connection is not None and connection.epoch == delivery.epoch
        return same and connection is not None and connection.acknowledge(delivery.mid)

    def max_packet(self, topic: str = "") -> int:
        """How many bytes a message for *topic* (empty: any) may have, as configured and as known of the broker."""
        configured = self._config.max_result_bytes
        return min(configured, self._outbox.max_packet(time.monotonic(), topic) or configured)

    def packet_limit(self, topic: str) -> PacketLimit:
        """As :meth:`max_packet`, and whether *topic* may be forbidden instead."""
        limit = self.max_packet(topic)
        supposed = limit < self._config.max_result_bytes and self._outbox.is_supposed(time.monotonic(), topic)
        return PacketLimit(limit, supposed)

    def has_room(self) -> bool:
        """Whether a message published now will soon be sent; False where the broker is absent or slower than we are."""
        return not self._outbox.is_full

    def healthy(self) -> bool:
        """Whether the link's thread is alive and advances, connected or not."""
        return self._thread.is_alive() and not self._status_board.overdue

    def status(self) -> LinkStatus:
        """Return the status of the link."""
        outbox, now = self._outbox, time.monotonic()
        return replace(
            self._status_board.status,
            withheld=outbox.withheld(now),
            queued=len(outbox),
            publications_lost=outbox.lost,
            max_packet=outbox.max_packet(now),
        )

    def _wake(self) -> None:
        if self._waker is not None:
            self._waker.wake()

    def _report_lost(self, given_up: Iterable[GivenUp]) -> None:
        for lost in given_up:
            event = Published(self._name, lost.publication, ok=False, reason=lost.reason, too_large=lost.too_large)
            self._report(event)

    # -- the link's own thread ----------------------------------------------------------------------------------------

    def _run(self) -> None:
        with closing(Waker()) as waker:
            self._waker = waker
            try:
                while not self._stopping.is_set():
                    self._stopping.wait(self._rest_s(self._attempt(waker)))
            except Exception as error:  # noqa: BLE001 - a defect; reported, and ends the worker
                _log.exception(log_events.LINK_THREAD_DIED, link=self._name)
                self._report(Fatal(self._name, repr(error)))

    def _attempt(self, waker: Waker) -> Ending:
        """Connect once, and exchange packets as long as the connection lasts."""
        self._status_board.beat(self._config.connect_timeout_s)
        try:
            options = self._reconnection.connect_options()
            session = PahoConnection(self._config, options)
            session.open()
        except (OSError, ValueError, ConfigError) as error:
            return unreachable(self._name, self._config, error)
        self._epoch += 1
        self._connection = Connection(
            self._context(waker),
            session,
            options,
            epoch=self._epoch,
            expects_session=self._reconnection.expects_session,
            fallback=self._reconnection.fallback,
            in_doubt=self._reconnection.in_doubt,
        )
        try:
            return self._connection.run()
        finally:
            self._connection = None
            session.linger(min(_LINGER_S, self._leave_by.remaining()) if self._leave_by else _LINGER_S)
            session.break_off()

    def _context(self, waker: Waker) -> LinkContext:
        return LinkContext(
            config=self._config,
            name=self._name,
            subscriptions=self._subscriptions,
            acks_in_order=self._acks_in_order,
            outbox=self._outbox,
            status_board=self._status_board,
            waker=waker,
            report=self._report,
            report_lost=self._report_lost,
            leave_by=lambda: self._leave_by,
            share_groups=self._share_groups,
            assigned=self._reconnection.take_client_id,
        )

    def _rest_s(self, ending: Ending) -> float:
        """Settle what was in flight and prepare the next attempt; returns the seconds to wait before it."""
        if ending.cause is None:
            self._outbox.unreachable()
        else:
            self._report_lost(self._outbox.disconnected(ending.cause, time.monotonic(), ending.event.reason))
            for message, reason in self._outbox.newly_refused():
                self._report(PublicationRefused(self._name, message.publication, message.topic, reason))
        if self._stopping.is_set():
            self._status_board.note(connected=False, subscribed=False)
            return 0.0
        pause_s = self._reconnection.wait_s(ending)
        self._status_board.beat(pause_s)
        return pause_s
