"""Which message the broker ends connections over: too large, or for a topic that is denied. Pure: time is passed in.

Such a poison message would end the next connection as well. MQTT 5 brokers give a reason, and only the message has to
be found; others just close the connection, over whichever message was on its way.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from edge_worker.mqtt.connection_events import Cause
from edge_worker.mqtt.denials import Denials
from edge_worker.mqtt.diagnosis import dots_hint
from edge_worker.mqtt.outbox_entry import STABLE_S
from edge_worker.mqtt.size_limit import SizeLimit, UnconfirmedMessages

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from edge_worker.mqtt.message import Outgoing
    from edge_worker.mqtt.outbox_entry import OutboxEntry

_SUSPICIOUS_CAUSES: Final = (Cause.BROKER, Cause.TOO_LARGE)
_CLOSED: Final = "the broker closes the connection over it: no permission for the topic?"


class PoisonDetector:
    """Suspects what was in flight when connections ended, until one message is found. Not thread-safe."""

    def __init__(self) -> None:
        """Suspect nothing."""
        self.limit, self.denials = SizeLimit(), Denials()
        self.blamed = False
        """Whether the last connection ended over a message that was suspected, or that the broker says it denies."""
        self._unconfirmed = UnconfirmedMessages(self.denials.taken)
        self._refused: list[tuple[Outgoing, str]] = []
        self._stable_at = 0.0

    def connected(self, max_packet: int | None, now: float) -> None:
        """Note that a connection began, to a broker that says it accepts packets of up to *max_packet* bytes."""
        self._stable_at = now + STABLE_S
        self.limit.announced(max_packet)

    def taken(self, entry: OutboxEntry, now: float) -> None:
        """Note that *entry* was acknowledged; in QoS 0, that it was written."""
        topic = entry.message.topic
        if entry.message.qos:
            self.limit.taken(topic, entry.size, now)
            self.denials.taken(topic)
        else:
            self._unconfirmed.sent(topic, entry.size, now)

    def settle(self, now: float) -> None:
        """Note that what the connection has outlived by *now* is denied no longer."""
        self._unconfirmed.fresh(now)

    def newly_refused(self) -> list[tuple[Outgoing, str]]:
        """Take out the messages that the broker refused by ending the connection, and why."""
        refused, self._refused = self._refused, []
        return refused

    def is_too_soon_for(self, entry: OutboxEntry, now: float) -> bool:
        """Whether *entry* is suspected, and this connection is too young to risk it."""
        return entry.is_suspect and now < self._stable_at

    def is_sent_alone(self, entry: OutboxEntry) -> bool:
        """Whether *entry* is sent with nothing else in flight."""
        return bool(entry.failed_attempts) or entry.alone or self.denials.is_probed(entry.message.topic)

    def is_watched(self, entry: OutboxEntry, now: float) -> bool:
        """Whether *entry* must wait for a QoS 0 message just written, as one of the two may be denied."""
        fresh = self._unconfirmed.fresh(now)
        probed = any(self.denials.is_probed(one.topic) for one in fresh)
        return bool(fresh) and (probed or self.denials.is_probed(entry.message.topic))

    def disconnected(
        self, in_flight: Sequence[OutboxEntry], waiting: Iterable[OutboxEntry], cause: Cause, reason: str, now: float
    ) -> None:
        """Judge what was *in_flight* when the connection ended because of *reason*; *waiting* is all of them."""
        probed = any(self.denials.is_probed(one.topic) for one in self._unconfirmed.fresh(now))
        self.blamed = probed or any(self.is_sent_alone(entry) for entry in in_flight)
        for entry in in_flight:
            if entry.is_best_effort:  # and is still being written
                self._unconfirmed.sent(entry.message.topic, entry.size, now)
        kept = [entry for entry in in_flight if not entry.is_best_effort]
        if cause is Cause.DENIED:
            self._find_denied(kept, waiting, reason, now)
        else:
            self._judge(kept, waiting, cause, now)

    def _find_denied(
        self, in_flight: list[OutboxEntry], waiting: Iterable[OutboxEntry], reason: str, now: float
    ) -> None:
        """Find the message that the broker denies: the only one it can be, or each is sent alone until found."""
        written = {one.topic for one in self._unconfirmed.fresh(now)}
        topics = written | {entry.message.topic for entry in in_flight}
        self._unconfirmed.ended(now, stable=False)
        self.blamed |= bool(topics)
        if len(topics) > 1:
            for entry in in_flight:
                entry.alone = True
            for topic in written:  # nobody acknowledges these: the next one for each topic goes alone, after a while
                self.denials.denied(topic, reason, now)
            return
        for topic in topics:
            self._deny(topic, waiting, reason, now)

    def _deny(self, topic: str, waiting: Iterable[OutboxEntry], reason: str, now: float) -> None:
        """Note that *topic* is denied; what must arrive, or is the newest state, waits, all else is given up."""
        self.denials.denied(topic, reason, now)
        self.blamed = True
        for entry in [entry for entry in waiting if entry.message.topic == topic]:
            entry.failed_attempts, entry.alone = 0, True
            entry.refusals, entry.refusal = entry.refusals + 1, reason
            if entry.is_kept:
                self._refused.append((entry.message, reason))

    def _judge(self, in_flight: list[OutboxEntry], waiting: Iterable[OutboxEntry], cause: Cause, now: float) -> None:
        """Ask of each message in flight whether the connection ended because of it."""
        if not in_flight and cause is not Cause.OURS:
            for entry in waiting:
                entry.failed_attempts = 0
        if cause not in _SUSPICIOUS_CAUSES:
            return
        for entry in in_flight:
            entry.attempt_failed(cause, alone=len(in_flight) == 1)
            if entry.is_poison:
                self._objected(entry.message.topic, entry.size, waiting, cause, now)
                entry.too_large = entry.is_poison and not self.limit.is_supposed(now, entry.message.topic)
        written = self._unconfirmed.ended(now, stable=now >= self._stable_at)
        if written is not None:
            self._objected(written.topic, written.size, waiting, cause, now)

    def _objected(self, topic: str, size: int, waiting: Iterable[OutboxEntry], cause: Cause, now: float) -> None:
        """Note that the broker ends connections over a message for *topic* of *size* bytes."""
        if cause is Cause.TOO_LARGE:
            self.limit.too_large(size, now)
        elif self.limit.closed_over(topic, size, now) == "topic":
            self._deny(topic, waiting, f"{_CLOSED}{dots_hint(topic)}", now)
