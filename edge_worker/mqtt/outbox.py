"""Messages on their way to the broker, kept over reconnects. Pure but for its lock: no I/O, time comes in."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from threading import Lock
from typing import TYPE_CHECKING, Final

from edge_worker.mqtt.connection_events import Cause
from edge_worker.mqtt.outbox_entry import CALM_S, OutboxEntry
from edge_worker.mqtt.size_limit import SizeLimit

if TYPE_CHECKING:
    from collections.abc import Mapping

    from edge_worker.mqtt.events import Outgoing

MAX_WAITING: Final = 256
MAX_WAITING_BYTES: Final = 32 << 20
"""What may wait of the messages that need not arrive; the oldest are dropped for newer ones."""

FULL_WAITING: Final = 8
FULL_WAITING_BYTES: Final = 256 << 10
"""With so much waiting besides what flies, the broker is slower than we are: live results would only grow old here."""

MAX_FLYING: Final = 20
MAX_FLYING_BYTES: Final = 1 << 20
"""What is sent before the broker has acknowledged any of it; a single larger message flies alone. A slow network must
carry this much, and the answer, before the connection counts as dead; a fast one needs no more to be busy."""

_ITS_DOING: Final = (Cause.BROKER, Cause.TOO_LARGE)


@dataclass(frozen=True, slots=True)
class GivenUp:
    """A publication that will not be tried again, and why."""

    publication: int
    reason: str


class Outbox:
    """A queue with a window. Safe to call from any thread."""

    def __init__(self) -> None:
        """Begin empty and disconnected."""
        self._lock = Lock()
        self._waiting: deque[OutboxEntry] = deque()
        self._flying: dict[int, OutboxEntry] = {}  # by packet id, oldest first
        self._limit = SizeLimit()
        self._window = 0  # 0: not connected
        self._calm_at = 0.0
        self._lost = 0

    def __len__(self) -> int:
        """Messages waiting or in flight."""
        return len(self._waiting) + len(self._flying)

    @property
    def lost(self) -> int:
        """Messages given up so far."""
        return self._lost

    @property
    def withheld(self) -> str:
        """The topic of the oldest message that the broker refused and that is tried again, and why; else empty."""
        with self._lock:
            entries = (*self._flying.values(), *self._waiting)
            return next((f"{p.message.topic} ({p.refusal})" for p in entries if p.refusals), "")

    @property
    def is_full(self) -> bool:
        """Whether more waits than a brief delay explains, besides what the broker refuses to take."""
        with self._lock:
            sizes = [entry.size for entry in self._waiting if not entry.refusals]
            return len(sizes) > FULL_WAITING or sum(sizes) > FULL_WAITING_BYTES

    @property
    def max_packet(self) -> int | None:
        """The largest packet the broker takes, in bytes, as it said or as was found out; None: no limit is known."""
        return self._limit.max_bytes

    def add(self, message: Outgoing, size: int) -> list[GivenUp]:
        """Take *message* of *size* bytes on; returns what was given up for it, or itself."""
        with self._lock:
            entry = OutboxEntry(message, size)
            if not self._window and entry.goes_once:
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
            self._window = min(MAX_FLYING, receive_maximum or MAX_FLYING)
            self._calm_at = now + CALM_S
            self._limit.announced(max_packet)
            if (limit := self.max_packet) is None:
                return []
            too_large = [p for p in self._waiting if p.size > limit]
            return self._give_up_all(dict.fromkeys(too_large, f"larger than the broker's {limit} bytes"))

    def take(self, now: float) -> OutboxEntry | None:
        """Take out the next message to send; None when there is none, or the window is full."""
        with self._lock:
            entry = next((p for p in self._waiting if p.not_before <= now and not self._is_held(p)), None)
            if entry is None or not self._may_fly(entry, now):
                return None
            self._waiting.remove(entry)
            return entry

    def sent(self, mid: int, entry: OutboxEntry) -> None:
        """Note that *entry* is on its way as packet *mid*."""
        with self._lock:
            self._flying[mid] = entry

    def arrived(self, mid: int, now: float) -> Outgoing | None:
        """Note that packet *mid* has arrived, or was written if of QoS 0; returns its message."""
        with self._lock:
            entry = self._flying.pop(mid, None)
            if entry is None:
                return None
            if entry.message.qos:
                self._limit.taken(entry.size)
            else:
                self._limit.written(entry.size, now)
            return entry.message

    def refused(self, mid: int, reason: str, now: float) -> tuple[Outgoing, list[GivenUp]] | None:
        """Note that the broker refused packet *mid*; what must arrive, or is retained, is tried again later."""
        with self._lock:
            entry = self._flying.pop(mid, None)
            if entry is None:
                return None
            if not entry.message.must_arrive and not self._is_newest_state(entry.message):
                return entry.message, [self._give_up(entry.message, reason)]
            entry.put_off(reason, now)
            self._insert(entry)
            return entry.message, []

    def _refused_before(self, message: Outgoing) -> OutboxEntry | None:
        """Find what waits because the broker refused it, and is out of date with *message*."""
        refused = (p for p in self._waiting if p.refusals and p.message.retain and not p.message.must_arrive)
        return next((p for p in refused if message.retain and p.message.topic == message.topic), None)

    def _is_newest_state(self, message: Outgoing) -> bool:
        """Whether *message* is to be retained, and nothing newer for its topic is on its way."""
        others = (entry.message for entry in (*self._waiting, *self._flying.values()))
        return message.retain and not any(other.topic == message.topic for other in others)

    def _is_held(self, entry: OutboxEntry) -> bool:
        """Whether what *entry* must come after is still on its way."""
        ahead = (other.message.publication for other in (*self._waiting, *self._flying.values()))
        return bool(entry.message.after) and not entry.message.after.isdisjoint(ahead)

    def _insert(self, entry: OutboxEntry) -> None:
        """Put *entry* back to its place."""
        number = entry.message.publication
        behind = (place for place, other in enumerate(self._waiting) if other.message.publication > number)
        self._waiting.insert(next(behind, len(self._waiting)), entry)

    def unsendable(self, entry: OutboxEntry, reason: str) -> list[GivenUp]:
        """Note that *entry* cannot be put into a packet; returns what is given up for it."""
        with self._lock:
            return self._give_up_all({entry: reason})

    def unreachable(self) -> None:
        """Note that no connection came about: who answers next may take other sizes."""
        self._limit.forget()

    def disconnected(self, cause: Cause, now: float) -> list[GivenUp]:
        """Note that the connection ended: what was in flight waits again, in its order, or is given up."""
        with self._lock:
            self._window = 0
            flying = list(self._flying.values())
            self._flying.clear()
            self._judge([entry for entry in flying if not entry.goes_once], cause)
            for entry in flying:
                if entry.goes_once:  # and is still being written
                    self._limit.written(entry.size, now)
            if cause in _ITS_DOING:
                self._limit.ended(now, calm=now >= self._calm_at)
            self._waiting.extendleft(reversed(flying))
            return self._give_up_all({p: reason for p in self._waiting if (reason := p.reason_to_give_up)})

    def _judge(self, flying: list[OutboxEntry], cause: Cause) -> None:
        """Ask of each message in flight whether the connection ended because of it."""
        if not flying and cause is not Cause.OURS:
            for entry in self._waiting:
                entry.strikes = 0
        if cause not in _ITS_DOING:
            return
        for entry in flying:
            entry.strike(cause, alone=len(flying) == 1)
            if entry.is_poison:
                self._limit.choked(entry.size)

    def _may_fly(self, entry: OutboxEntry, now: float) -> bool:
        if entry.is_suspect and now < self._calm_at:
            return False
        if not self._flying:
            return self._window > 0
        if entry.strikes or any(other.strikes for other in self._flying.values()):
            return False
        flying_bytes = sum(other.size for other in self._flying.values())
        return len(self._flying) < self._window and flying_bytes + entry.size <= MAX_FLYING_BYTES

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
        """Give up entries, and what waits and is nothing without them."""
        gone = {entry.message.publication for entry in reasons}
        orphans = [p for p in self._waiting if p not in reasons and not p.message.needs.isdisjoint(gone)]
        all_reasons = {**reasons, **dict.fromkeys(orphans, "what it belongs to was given up")}
        self._waiting = deque(entry for entry in self._waiting if entry not in all_reasons)
        return [self._give_up(entry.message, reason) for entry, reason in all_reasons.items()]

    def _give_up(self, message: Outgoing, reason: str) -> GivenUp:
        self._lost += 1
        return GivenUp(message.publication, reason)
