"""Messages on their way to the broker, kept across reconnects. Pure except for its lock: no I/O, time is passed in."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from threading import Lock
from typing import TYPE_CHECKING, Final

from edge_worker.mqtt.outbox_entry import OutboxEntry
from edge_worker.mqtt.poison import PoisonDetector

if TYPE_CHECKING:
    from collections.abc import Mapping

    from edge_worker.mqtt.connection_events import Cause
    from edge_worker.mqtt.message import Outgoing

MAX_WAITING: Final = 256
MAX_WAITING_BYTES: Final = 32 << 20
"""Limit on waiting messages that need not arrive; the oldest are dropped for newer ones."""

FULL_WAITING: Final = 8
FULL_WAITING_BYTES: Final = 256 << 10
"""With so much waiting besides what is in flight, the broker is slower than we are: live results would age here."""

MAX_IN_FLIGHT: Final = 20
MAX_IN_FLIGHT_BYTES: Final = 1 << 20
"""Limit on what is in flight; a single larger message is sent alone. A slow network must
carry this much, and the answer, before the connection counts as dead; a fast one needs no more to be busy."""


@dataclass(frozen=True, slots=True)
class GivenUp:
    """A publication that will not be tried again, and why."""

    publication: int
    reason: str
    too_large: bool = False
    """Whether its size is the reason, as far as the broker tells."""


class Outbox:
    """A queue with a window. Safe to call from any thread."""

    def __init__(self) -> None:
        """Begin empty and disconnected."""
        self._lock = Lock()
        self._waiting: deque[OutboxEntry] = deque()
        self._in_flight: dict[int, OutboxEntry] = {}  # by packet id, oldest first
        self._poison = PoisonDetector()
        self._window = 0  # 0: not connected
        self._lost = 0

    def __len__(self) -> int:
        """Messages waiting or in flight."""
        return len(self._waiting) + len(self._in_flight)

    @property
    def lost(self) -> int:
        """Messages given up so far."""
        return self._lost

    @property
    def blamed(self) -> bool:
        """Whether the last connection ended over a message that was suspected, or that the broker says it denies."""
        return self._poison.blamed

    def withheld(self, now: float) -> str:
        """The topic of the oldest message that the broker refused and that is tried again, and why; else empty."""
        with self._lock:
            entries = (*self._in_flight.values(), *self._waiting)
            self._poison.settle(now)
            kept = next((f"{p.message.topic} ({p.refusal})" for p in entries if p.refusals), "")
            return kept or self._poison.denials.oldest(now)

    @property
    def is_full(self) -> bool:
        """Whether more waits than a brief delay explains, besides what the broker refuses to take."""
        with self._lock:
            sizes = [entry.size for entry in self._waiting if not entry.refusals]
            return len(sizes) > FULL_WAITING or sum(sizes) > FULL_WAITING_BYTES

    def max_packet(self, now: float, topic: str = "") -> int | None:
        """The largest packet the broker takes for *topic* (empty: for any), in bytes; None: no limit is known."""
        return self._poison.limit.max_bytes(now, topic)

    def is_supposed(self, now: float, topic: str) -> bool:
        """Whether the limit for *topic* may be a missing permission as well."""
        return self._poison.limit.is_supposed(now, topic)

    def newly_refused(self) -> list[tuple[Outgoing, str]]:
        """Take out the messages that the broker refused by ending the connection, and why."""
        with self._lock:
            return self._poison.newly_refused()

    def add(self, message: Outgoing, size: int, now: float) -> list[GivenUp]:
        """Accept *message* of *size* bytes; returns what was given up for it, which may be itself."""
        with self._lock:
            entry = OutboxEntry(message, size)
            if self._poison.denials.waits(message.topic, now) and not entry.is_kept:
                return [self._give_up(message, self._poison.denials.reason(message.topic))]
            if not self._window and entry.is_best_effort:
                return [self._give_up(message, "not connected")]
            stale = self._refused_before(message)
            if stale is not None:
                given_up = self._give_up(stale.message, "a newer one takes its place")
                stale.message, stale.size = message, size
                return [given_up]
            self._waiting.append(entry)
            return self._make_room()

    def connected(self, receive_maximum: int | None, max_packet: int | None, now: float) -> list[GivenUp]:
        """Begin to hand out, within the broker's limits; returns what is too large for them."""
        with self._lock:
            self._window = min(MAX_IN_FLIGHT, receive_maximum or MAX_IN_FLIGHT)
            self._poison.connected(max_packet, now)
            limits = {p: self._poison.limit.max_bytes(now, p.message.topic) for p in self._waiting}
            too_large = {p: limit for p, limit in limits.items() if limit is not None and p.size > limit}
            reasons = {p: f"larger than the broker's {limit} bytes" for p, limit in too_large.items()}
            for entry in reasons:
                entry.too_large = not self._poison.limit.is_supposed(now, entry.message.topic)
            return self._give_up_all(reasons)

    def take(self, now: float) -> OutboxEntry | None:
        """Take out the next message to send; None when there is none, or the window is full."""
        with self._lock:
            entry = next((p for p in self._waiting if self._is_due(p, now) and not self._is_held(p)), None)
            if entry is None or not self._may_send(entry, now):
                return None
            self._waiting.remove(entry)
            return entry

    def sent(self, mid: int, entry: OutboxEntry) -> None:
        """Note that *entry* is on its way as packet *mid*."""
        with self._lock:
            self._in_flight[mid] = entry

    def arrived(self, mid: int, now: float) -> Outgoing | None:
        """Note that packet *mid* has arrived, or was written if of QoS 0; returns its message."""
        with self._lock:
            entry = self._in_flight.pop(mid, None)
            if entry is None:
                return None
            self._poison.taken(entry, now)
            return entry.message

    def refused(self, mid: int, reason: str, now: float) -> tuple[Outgoing, list[GivenUp]] | None:
        """Note that the broker refused packet *mid*; what must arrive, or is retained, is tried again later."""
        with self._lock:
            entry = self._in_flight.pop(mid, None)
            if entry is None:
                return None
            if not entry.message.must_arrive and not self._is_newest_state(entry.message):
                return entry.message, [self._give_up(entry.message, reason)]
            entry.put_off(reason, now)
            self._insert(entry)
            return entry.message, []

    def _refused_before(self, message: Outgoing) -> OutboxEntry | None:
        """Find what waits because the broker refused it, and *message* makes obsolete."""
        refused = (p for p in self._waiting if p.refusals and p.message.retain and not p.message.must_arrive)
        return next((p for p in refused if message.retain and p.message.topic == message.topic), None)

    def _is_newest_state(self, message: Outgoing) -> bool:
        """Whether *message* is to be retained, and nothing newer for its topic is on its way."""
        others = (entry.message for entry in (*self._waiting, *self._in_flight.values()))
        return message.retain and not any(other.topic == message.topic for other in others)

    def _is_due(self, entry: OutboxEntry, now: float) -> bool:
        return entry.not_before <= now and not self._poison.denials.waits(entry.message.topic, now)

    def _is_held(self, entry: OutboxEntry) -> bool:
        """Whether what *entry* must come after is still on its way."""
        ahead = (other.message.publication for other in (*self._waiting, *self._in_flight.values()))
        return bool(entry.message.after) and not entry.message.after.isdisjoint(ahead)

    def _insert(self, entry: OutboxEntry) -> None:
        """Put *entry* back in its place."""
        number = entry.message.publication
        behind = (place for place, other in enumerate(self._waiting) if other.message.publication > number)
        self._waiting.insert(next(behind, len(self._waiting)), entry)

    def unsendable(self, entry: OutboxEntry, reason: str) -> list[GivenUp]:
        """Note that *entry* cannot be put into a packet; returns what is given up for it."""
        with self._lock:
            entry.too_large = True
            return self._give_up_all({entry: reason})

    def unreachable(self) -> None:
        """Note that there was no connection: the broker that answers next may accept other sizes."""
        self._poison.limit.forget()

    def disconnected(self, cause: Cause, now: float, reason: str = "") -> list[GivenUp]:
        """Note that the connection ended because of *reason*: what was in flight waits again, or is given up."""
        with self._lock:
            self._window = 0
            in_flight = list(self._in_flight.values())
            self._in_flight.clear()
            self._waiting.extendleft(reversed(in_flight))
            self._poison.disconnected(in_flight, self._waiting, cause, reason, now)
            return self._give_up_all({p: why for p in self._waiting if (why := p.reason_to_give_up)})

    def _may_send(self, entry: OutboxEntry, now: float) -> bool:
        if self._poison.is_too_soon_for(entry, now):
            return False
        if not self._in_flight:
            return self._window > 0 and not self._poison.is_watched(entry, now)
        if self._poison.is_sent_alone(entry) or any(
            self._poison.is_sent_alone(other) for other in self._in_flight.values()
        ):
            return False
        bytes_in_flight = sum(other.size for other in self._in_flight.values())
        return len(self._in_flight) < self._window and bytes_in_flight + entry.size <= MAX_IN_FLIGHT_BYTES

    def _make_room(self) -> list[GivenUp]:
        droppable = deque(p for p in self._waiting if not p.message.must_arrive)
        size = sum(p.size for p in droppable)
        given_up = []
        while len(droppable) > MAX_WAITING or (size > MAX_WAITING_BYTES and len(droppable) > 1):
            oldest = droppable.popleft()
            size -= oldest.size
            self._waiting.remove(oldest)
            given_up.append(self._give_up(oldest.message, "too much is waiting for the broker"))
        return given_up

    def _give_up_all(self, reasons: Mapping[OutboxEntry, str]) -> list[GivenUp]:
        """Give up entries, and those waiting that need them."""
        gone = {entry.message.publication for entry in reasons}
        orphans = [p for p in self._waiting if p not in reasons and not p.message.needs.isdisjoint(gone)]
        for orphan in orphans:
            orphan.too_large = any(p.too_large for p in reasons if p.message.publication in orphan.message.needs)
        all_reasons = {**reasons, **dict.fromkeys(orphans, "what it belongs to was given up")}
        self._waiting = deque(entry for entry in self._waiting if entry not in all_reasons)
        return [self._give_up(entry.message, why, too_large=entry.too_large) for entry, why in all_reasons.items()]

    def _give_up(self, message: Outgoing, reason: str, *, too_large: bool = False) -> GivenUp:
        self._lost += 1
        return GivenUp(message.publication, reason, too_large)
