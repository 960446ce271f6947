"""One connection: when packets are written, who receives those that arrive, and how it ended."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from edge_worker.mqtt import ending, events
from edge_worker.mqtt.connection_events import (
    Accepted,
    Cause,
    ConnectRefused,
    Ended,
    PublishAnswered,
    Received,
    SubscribeAnswered,
    Unsubscribed,
)
from edge_worker.mqtt.diagnosis import suspicion
from edge_worker.mqtt.publisher import Publisher
from edge_worker.mqtt.receiver import Receiver
from edge_worker.mqtt.subscriber import Subscriber

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edge_worker.mqtt.connection_events import ConnectionEvent, ConnectOptions
    from edge_worker.mqtt.ending import Ending
    from edge_worker.mqtt.link_context import LinkContext
    from edge_worker.mqtt.message import Subscription
    from edge_worker.mqtt.paho.connection import PahoConnection

_DISCONNECT_RESERVE_S: Final = 0.3
"""Time of a stop that is reserved for DISCONNECT, whatever is still queued: otherwise the broker publishes the will."""

_TICK_S: Final = 1.0  # between two looks at the clock, at most
_TICKS_PER_KEEPALIVE: Final = 25  # silence is noticed two ticks late at most


class Connection:
    """The only user of an open session. :meth:`run` is for the link's thread, :meth:`acknowledge` for any."""

    def __init__(
        self,
        link: LinkContext,
        session: PahoConnection,
        options: ConnectOptions,
        *,
        epoch: int,
        expects_session: bool,
        fallback: str,
        in_doubt: bool,
    ) -> None:
        """*expects_session*: the broker should know us.

        *fallback*: why this is the older protocol, if it is; *in_doubt*: whether there may be another reason for that.
        """
        self._link, self._session, self._options = link, session, options
        self._expects_session, self._fallback, self._in_doubt = expects_session, fallback, in_doubt
        self.epoch = epoch
        self._subscriber = Subscriber(link.subscriptions)
        self._receiver = Receiver(link, epoch=epoch, agreed=options.receive_maximum or 1)
        self._publisher = Publisher(link, session)
        self._accepted_at: float | None = None
        self._tick_s = min(_TICK_S, link.config.keepalive_s / _TICKS_PER_KEEPALIVE)
        self._answer_by: float | None = time.monotonic() + link.config.connack_timeout_s
        self._leaving_reason = ""
        self._is_leaving_groups = False
        self._ending: Ending | None = None

    def run(self) -> Ending:
        """Exchange packets until the connection ends."""
        while self._ending is None and self._session.is_open:
            self._link.status_board.beat()
            self._link.waker.clear()
            self._check_deadlines()
            if self._ending is None:
                self._write_pending()
            for event in self._session.turn(self._wait_s(), self._link.waker.socket):
                self._handle(event)
        return self._ending or self._end(Cause.BROKER, "connection closed")

    def acknowledge(self, mid: int) -> bool:
        """Acknowledge message *mid*; False when the connection is over."""
        if self._ending is not None:
            return False
        self._receiver.acknowledge(mid)
        self._link.waker.wake()
        return True

    # -- sending ------------------------------------------------------------------------------------------------------

    def _check_deadlines(self) -> None:
        now = time.monotonic()
        if self._answer_by is not None and now > self._answer_by:
            self._break_off(self._silence())
            return
        self._forget_conflict(now)
        deadline = self._link.leave_by()
        if deadline is not None and deadline.expired:
            self._break_off(self._end(Cause.OURS, "out of time"))
        elif deadline is not None and (self._nothing_pending() or deadline.remaining() < _DISCONNECT_RESERVE_S):
            self._disconnect("stopping")
        elif reason := self._receiver.reason_to_reconnect:
            self._disconnect(reason)

    def _forget_conflict(self, now: float) -> None:
        """Forget another client with our name once a connection has lasted."""
        status_board = self._link.status_board
        if (
            status_board.status.conflict
            and self._accepted_at
            and now - self._accepted_at > self._link.config.reconnect.stable_s
        ):
            status_board.note(conflict="")

    def _nothing_pending(self) -> bool:
        """Whether nothing waits to be sent or confirmed."""
        return not self._receiver.has_pending_acknowledgements and not len(self._link.outbox)

    def _wait_s(self) -> float:
        """How long to wait for the network at most: until something of our own is due."""
        due = [self._answer_by] if self._answer_by is not None else []
        due += [self._subscriber.due_at] if self._subscriber.is_waiting else []
        return max(0.0, min([self._tick_s, *(moment - time.monotonic() for moment in due)]))

    def _write_pending(self) -> None:
        if self._accepted_at is None or self._leaving_reason:
            return
        for mid in self._receiver.acknowledgements():
            self._session.acknowledge(mid)
        self._leave_groups_if_asked()
        now = time.monotonic()
        for subscriptions in tuple(self._subscriber.due(now)):
            self._subscriber.asked(self._session.subscribe(subscriptions), subscriptions)
            self._answer_by = now + self._link.config.connack_timeout_s
        if self._subscriber.unanswered:  # else the end of a connection could not be blamed on SUBSCRIBE
            return
        self._publisher.send_all(now)

    def _leave_groups_if_asked(self) -> None:
        if self._link.share_groups.is_leaving and not self._is_leaving_groups:
            self._is_leaving_groups = True
            self._session.unsubscribe(self._subscriber.leave_groups())

    def _disconnect(self, reason: str) -> None:
        if self._leaving_reason:
            return
        self._leaving_reason = reason
        if self._accepted_at is None:
            self._break_off(self._end(Cause.OURS, reason))
        else:
            self._session.disconnect()

    def _break_off(self, because: Ending) -> None:
        self._session.break_off()
        self._ending = self._ending or because

    def _silence(self) -> Ending:
        waited = f"{self._link.config.connack_timeout_s:g} s"
        asked = "SUBSCRIBE" if self._accepted_at else f"CONNECT (MQTT {self._options.protocol})"
        return self._end(Cause.SILENCE, f"no answer to {asked} within {waited}")

    # -- receiving ----------------------------------------------------------------------------------------------------

    def _handle(self, event: ConnectionEvent) -> None:
        match event:
            case Received():
                self._receiver.received(event)
            case PublishAnswered():
                self._publisher.answered(event)
            case Accepted():
                self._accepted(event)
            case SubscribeAnswered():
                self._subscribe_answered(event)
            case Unsubscribed(refusals=refusals):
                self._link.share_groups.answered(refusals)
            case ConnectRefused():
                self._ending = ending.refused(self._link.name, event)
            case Ended(cause=cause, reason=reason):
                self._ending = self._ending or self._end(cause, reason)

    def _end(self, cause: Cause, reason: str) -> Ending:
        if self._accepted_at is None:
            missed = suspicion(self._link.config, self._options)
            return ending.unanswered(self._link.name, cause, reason, self._options.protocol, missed)
        return ending.disconnected(
            self._link.name,
            cause,
            reason,
            leaving=self._leaving_reason,
            lasted_s=time.monotonic() - self._accepted_at,
            was_refused=self._publisher.was_just_refused,
            asked=self._subscriber.unanswered,
        )

    def _accepted(self, accepted: Accepted) -> None:
        link, protocol, present = self._link, self._options.protocol, accepted.session_present
        self._accepted_at, self._answer_by = time.monotonic(), None
        if self._in_doubt:
            self._disconnect("there is a broker now: asking for MQTT 5 once more")
            return
        lost = self._expects_session and not present
        link.status_board.note(
            connected=True,
            protocol=protocol,
            epoch=self.epoch,
            sessions_lost=link.status_board.status.sessions_lost + lost,
            keepalive_s=accepted.keepalive_s,
        )
        limits = accepted.receive_maximum, accepted.max_packet
        link.report_lost(link.outbox.connected(*limits, self._accepted_at))  # before anyone publishes on the news
        if self._fallback:
            link.report(events.FellBack(link.name, self._fallback))
        link.report(events.Connected(link.name, protocol, present))
        if lost:
            link.report(events.SessionLost(link.name))
        self._compare_expiry(accepted.session_expiry_s)
        if accepted.client_id != self._options.client_id:
            link.assigned(accepted.client_id)
        self._publisher.capabilities = accepted.capabilities
        for reason in accepted.capabilities.shortcomings():
            link.report(events.CapabilityMissing(link.name, reason))
        self._refuse(self._subscriber.exclude(accepted.capabilities.objection))
        if self._subscriber.is_complete:
            self._all_granted()

    def _compare_expiry(self, granted_s: int | None) -> None:
        """Report a session that the broker keeps for a shorter time than we asked; None: it agrees."""
        asked_s = self._options.session_expiry_s
        if self._options.manual_ack and granted_s is not None and granted_s < asked_s:
            self._link.report(events.SessionShortened(self._link.name, asked_s, granted_s))

    def _subscribe_answered(self, answer: SubscribeAnswered) -> None:
        refused = self._subscriber.answered(answer.mid, answer.refusals, time.monotonic())
        if not self._subscriber.unanswered:
            self._answer_by = None
        if self._subscriber.is_complete:
            self._all_granted()
            return
        self._refuse(refused)

    def _refuse(self, refused: Sequence[tuple[Subscription, str]]) -> None:
        """Note and report subscriptions that were refused, or must not be asked for, and why."""
        if not refused:
            return
        filters = [f"{subscription.filter} ({reason})" for subscription, reason in self._subscriber.refused.items()]
        self._link.status_board.note(subscribed=False, trouble=f"subscription refused: {ending.abbreviated(filters)}")
        for subscription, reason in refused:
            self._link.report(events.SubscriptionRefused(self._link.name, subscription.filter, reason))

    def _all_granted(self) -> None:
        self._link.status_board.note(subscribed=True, trouble="")
        self._link.report(events.Subscribed(self._link.name))
