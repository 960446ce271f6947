"""The packets of one connection: subscribe, receive, acknowledge, publish; and how it ended."""

from __future__ import annotations

import math
import time
from collections import deque
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from edge_worker.frames.frame import Delivery
from edge_worker.mqtt.backoff import Failure
from edge_worker.mqtt.capabilities import Capabilities
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
from edge_worker.mqtt.diagnosis import Ending, doubt_dots
from edge_worker.mqtt.events import (
    Arrived,
    CapabilityMissing,
    Connected,
    Disconnected,
    FellBack,
    PublicationRefused,
    Published,
    Refused,
    SessionLost,
    SessionShortened,
    Shed,
    Subscribed,
    SubscriptionRefused,
    Unreachable,
)
from edge_worker.mqtt.receive_window import MAX_BYTES, ReceiveWindow
from edge_worker.mqtt.subscriber import Subscriber

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from edge_worker.common.deadline import Deadline
    from edge_worker.mqtt.connection_events import ConnectionEvent, ConnectOptions
    from edge_worker.mqtt.diagnosis import Symptom
    from edge_worker.mqtt.events import LinkEvent
    from edge_worker.mqtt.message import Outgoing, Subscription
    from edge_worker.mqtt.outbox import GivenUp, Outbox
    from edge_worker.mqtt.outbox_entry import OutboxEntry
    from edge_worker.mqtt.paho.connection import PahoConnection
    from edge_worker.mqtt.share_groups import ShareGroups
    from edge_worker.mqtt.status import StatusBoard
    from edge_worker.mqtt.waker import Waker

_LAST_WORDS_S: Final = 0.3
"""Kept of the time for a stop to send DISCONNECT, whatever is still queued: else the broker publishes the will."""

_MOST_NAMED: Final = 12
"""Filters that a status names; of more it tells the number."""
_EXPLAINS_S: Final = 0.5
"""A broker that closes the connection so soon after it refused a message does so because of that."""


@dataclass(frozen=True, slots=True)
class Setting:
    """What a connection has of its link; it looks at the clock every ``tick_s`` seconds at least."""

    name: str
    subscriptions: tuple[Subscription, ...]
    answer_timeout_s: float
    tick_s: float
    stable_s: float
    suspicion: str
    outbox: Outbox
    status_board: StatusBoard
    waker: Waker
    report: Callable[[LinkEvent], None]
    report_lost: Callable[[Iterable[GivenUp]], None]
    leave_by: Callable[[], Deadline | None]
    share_groups: ShareGroups
    assigned: Callable[[str], None]
    """Takes the client id that the broker knows us by from now on."""


class Connection:
    """The one user of an open session. :meth:`run` belongs to the link's thread, :meth:`acknowledge` to any."""

    def __init__(
        self,
        setting: Setting,
        session: PahoConnection,
        options: ConnectOptions,
        *,
        epoch: int,
        expects_session: bool,
        fallback: str,
        in_doubt: bool,
    ) -> None:
        """*expects_session*: the broker should know us.

        *fallback*: why this is the older protocol, if it is; *in_doubt*: whether another reason may explain that, too.
        """
        self._setting, self._session, self._options = setting, session, options
        self._expects_session, self._fallback, self._in_doubt = expects_session, fallback, in_doubt
        self.epoch = epoch
        self._acks: deque[int] = deque()
        self._receive_window = ReceiveWindow(MAX_BYTES)
        self._subscriber = Subscriber(setting.subscriptions)
        self._accepted_at: float | None = None
        self._answer_by: float | None = time.monotonic() + setting.answer_timeout_s
        self._refused_at = -math.inf
        self._capabilities = Capabilities()
        self._leaving_reason = ""
        self._is_leaving_groups = False
        self._ending: Ending | None = None

    def run(self) -> Ending:
        """Exchange packets until the connection ends."""
        while self._ending is None and self._session.is_open:
            self._setting.status_board.beat()
            self._setting.waker.clear()
            self._watch_the_clock()
            if self._ending is None:
                self._write_pending()
            for event in self._session.turn(self._wait_s(), self._setting.waker.socket):
                self._handle(event)
        return self._ending or self._end(Cause.BROKER, "connection closed")

    def acknowledge(self, mid: int) -> bool:
        """Acknowledge message *mid*; False when the connection is over."""
        if self._ending is not None:
            return False
        self._acks.append(mid)
        self._setting.waker.wake()
        return True

    # -- speaking -----------------------------------------------------------------------------------------------------

    def _watch_the_clock(self) -> None:
        now = time.monotonic()
        if self._answer_by is not None and now > self._answer_by:
            self._break_off(self._silence())
            return
        self._forget_conflict(now)
        deadline = self._setting.leave_by()
        if deadline is not None and deadline.expired:
            self._break_off(self._end(Cause.OURS, "out of time"))
        elif deadline is not None and (self._has_said_all() or deadline.remaining() < _LAST_WORDS_S):
            self._disconnect("stopping")
        elif self._receive_window.wants_reconnect and not self._acks:
            self._disconnect(f"fetching {self._receive_window.shed} frames that there was no memory for")

    def _forget_conflict(self, now: float) -> None:
        """Forget another client with our name once a connection has lasted."""
        status_board = self._setting.status_board
        if status_board.status.conflict and self._accepted_at and now - self._accepted_at > self._setting.stable_s:
            status_board.note(conflict="")

    def _has_said_all(self) -> bool:
        """Whether nothing waits to be sent or confirmed. An acknowledgement left unsaid would bring its frame again."""
        return not self._acks and not len(self._setting.outbox)

    def _wait_s(self) -> float:
        """How long to wait for the network at most: until something of our own is due."""
        due = [self._answer_by] if self._answer_by is not None else []
        due += [self._subscriber.due_at] if self._subscriber.is_waiting else []
        return max(0.0, min([self._setting.tick_s, *(moment - time.monotonic() for moment in due)]))

    def _write_pending(self) -> None:
        if self._accepted_at is None or self._leaving_reason:
            return
        while self._acks:
            mid = self._acks.popleft()
            self._session.acknowledge(mid)
            self._receive_window.settle(mid)
        self._leave_groups_if_told()
        now = time.monotonic()
        for subscriptions in tuple(self._subscriber.due(now)):
            self._subscriber.asked(self._session.subscribe(subscriptions), subscriptions)
            self._answer_by = now + self._setting.answer_timeout_s
        if self._subscriber.unanswered:  # else a connection that ends could not be said to end over SUBSCRIBE
            return
        while (entry := self._setting.outbox.take(now)) is not None:
            self._send(entry)

    def _leave_groups_if_told(self) -> None:
        if self._setting.share_groups.is_leaving and not self._is_leaving_groups:
            self._is_leaving_groups = True
            self._session.unsubscribe(self._subscriber.leave_groups())

    def _send(self, entry: OutboxEntry) -> None:
        try:
            self._setting.outbox.sent(self._session.publish(self._capabilities.adapt(entry.message)), entry)
        except ValueError as error:
            self._setting.report_lost(self._setting.outbox.unsendable(entry, str(error)))

    def _disconnect(self, reason: str) -> None:
        if self._leaving_reason:
            return
        self._leaving_reason = reason
        if self._accepted_at is None:
            self._break_off(self._end(Cause.OURS, reason))
        else:
            self._session.disconnect()

    def _break_off(self, ending: Ending) -> None:
        self._session.break_off()
        self._ending = self._ending or ending

    def _silence(self) -> Ending:
        waited = f"{self._setting.answer_timeout_s:g} s"
        asked = "SUBSCRIBE" if self._accepted_at else f"CONNECT (MQTT {self._options.protocol})"
        return self._end(Cause.SILENCE, f"no answer to {asked} within {waited}")

    # -- listening ----------------------------------------------------------------------------------------------------

    def _handle(self, event: ConnectionEvent) -> None:
        match event:
            case Received():
                self._received(event)
            case PublishAnswered():
                self._sent(event)
            case Accepted():
                self._accepted(event)
            case SubscribeAnswered():
                self._subscribe_answered(event)
            case Unsubscribed(refusals=refusals):
                self._setting.share_groups.answered(refusals)
            case ConnectRefused():
                self._ending = self._denied(event)
            case Ended(cause=cause, reason=reason):
                self._ending = self._ending or self._end(cause, reason)

    def _denied(self, denied: ConnectRefused) -> Ending:
        event = Refused(self._setting.name, denied.reason, denied.permanent)
        failure = Failure.REFUSED if denied.permanent else Failure.FAILED
        symptom: Symptom | None = "unsupported" if denied.unsupported_version else None
        return Ending(failure, event, symptom=symptom, will_objection=denied.will_objection)

    def _end(self, cause: Cause, reason: str) -> Ending:
        failure = None if cause is Cause.OURS else Failure.FAILED
        if cause is Cause.BROKER and time.monotonic() - self._refused_at < _EXPLAINS_S:
            cause, failure, reason = Cause.REFUSAL, Failure.EXPLAINED, f"{reason}, over a message that was refused"
        if cause is Cause.DENIED:
            failure = Failure.EXPLAINED
        if self._accepted_at is not None and cause is not Cause.OURS and (asked := self._subscriber.unanswered):
            cause = Cause.SUBSCRIBE if cause is Cause.BROKER else cause
            reason = f"{reason}; the broker had not answered SUBSCRIBE ({_some(asked)}){doubt_dots(*asked)}"
        if self._accepted_at is None:
            symptom: Symptom = "silent" if cause is Cause.SILENCE else "closed"
            if symptom == "closed":
                connect = f"CONNECT (MQTT {self._options.protocol})"
                reason = f"closed before the broker answered {connect}: {reason}; {self._setting.suspicion}"
            return Ending(failure, Unreachable(self._setting.name, reason), symptom=symptom)
        event = Disconnected(self._setting.name, self._leaving_reason or reason)
        return Ending(failure, event, time.monotonic() - self._accepted_at, cause)

    def _accepted(self, accepted: Accepted) -> None:
        setting, protocol, present = self._setting, self._options.protocol, accepted.session_present
        self._accepted_at, self._answer_by = time.monotonic(), None
        if self._in_doubt:
            self._disconnect("there is a broker now: asking for MQTT 5 once more")
            return
        lost = self._expects_session and not present
        setting.status_board.note(
            connected=True,
            protocol=protocol,
            epoch=self.epoch,
            sessions_lost=setting.status_board.status.sessions_lost + lost,
            keepalive_s=accepted.keepalive_s,
        )
        limits = accepted.receive_maximum, accepted.max_packet
        setting.report_lost(setting.outbox.connected(*limits, self._accepted_at))  # before anyone publishes on the news
        if self._fallback:
            setting.report(FellBack(setting.name, self._fallback))
        setting.report(Connected(setting.name, protocol, present))
        if lost:
            setting.report(SessionLost(setting.name))
        self._compare_expiry(accepted.session_expiry_s)
        if accepted.client_id != self._options.client_id:
            setting.assigned(accepted.client_id)
        self._capabilities = accepted.capabilities
        for reason in accepted.capabilities.shortcomings():
            setting.report(CapabilityMissing(setting.name, reason))
        self._refuse(self._subscriber.exclude(accepted.capabilities.objection))
        if self._subscriber.is_complete:
            self._all_granted()

    def _compare_expiry(self, granted_s: int | None) -> None:
        """Say it if a session that is to outlive us would not as long as it should; None: the broker agrees."""
        asked_s = self._options.session_expiry_s
        if self._options.manual_ack and granted_s is not None and granted_s < asked_s:
            self._setting.report(SessionShortened(self._setting.name, asked_s, granted_s))

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
        self._setting.status_board.note(subscribed=False, trouble=f"subscription refused: {_some(filters)}")
        for subscription, reason in refused:
            self._setting.report(SubscriptionRefused(self._setting.name, subscription.filter, reason))

    def _all_granted(self) -> None:
        self._setting.status_board.note(subscribed=True, trouble="")
        self._setting.report(Subscribed(self._setting.name))

    def _received(self, received: Received) -> None:
        message, mid = received.message, received.mid
        if mid:
            if not self._receive_window.admits(mid, message.memory_size):
                self._shed()
                return
            message = replace(message, delivery=Delivery(self._setting.name, self.epoch, mid))
        self._setting.report(Arrived(self._setting.name, message))

    def _shed(self) -> None:
        self._setting.status_board.note(shed=self._setting.status_board.status.shed + 1)
        if self._receive_window.shed == 1:
            self._setting.report(Shed(self._setting.name, self._receive_window.held, self._why_shed()))

    def _why_shed(self) -> str:
        """Say whose doing it is that the unacknowledged frames take too much memory."""
        held, agreed = self._receive_window.held, self._options.receive_maximum or 1
        if held < agreed:
            return f"cameras[].prefetch asks for {agreed} frames at a time, of any size: lower it"
        return (
            f"the broker sends more than the {agreed} unacknowledged frames that cameras[].prefetch asks for:"
            " Mosquitto before 2.0.13 does so unless that is 1, other brokers have a limit of their own to lower"
        )

    def _sent(self, sent: PublishAnswered) -> None:
        name, outbox = self._setting.name, self._setting.outbox
        if sent.refusal is None:
            message = outbox.arrived(sent.mid, time.monotonic())
            if message is not None:
                self._count_unmatched(sent, message)
                self._setting.report(Published(name, message.publication, ok=True, unmatched=sent.unmatched))
            return
        refused = outbox.refused(sent.mid, sent.refusal, time.monotonic())
        if refused is not None:
            message, given_up = refused
            self._refused_at = time.monotonic()
            self._setting.report(PublicationRefused(name, message.publication, message.topic, sent.refusal))
            self._setting.report_lost(given_up)

    def _count_unmatched(self, sent: PublishAnswered, message: Outgoing) -> None:
        """Count a publication that nobody received, nor will: a retained one waits for its readers."""
        if sent.unmatched and not message.retain:
            board = self._setting.status_board
            board.note(publications_without_subscriber=board.status.publications_without_subscriber + 1)


def _some(names: Sequence[str]) -> str:
    """Name the first of many."""
    more = len(names) - _MOST_NAMED
    return ", ".join(names[:_MOST_NAMED]) + (f" and {more} more" if more > 0 else "")
