"""Messages on their way to the broker, kept over reconnects. Pure but for its lock: no I/O, time comes in."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from threading import Lock
from typing import TYPE_CHECKING, Final

from edge_worker.mqtt.happenings import Cause
from edge_worker.mqtt.parcel import CALM_S, Parcel
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
        self._waiting: deque[Parcel] = deque()
        self._flying: dict[int, Parcel] = {}  # by packet id, oldest first
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
            parcels = (*self._flying.values(), *self._waiting)
            return next((f"{p.message.topic} ({p.refusal})" for p in parcels if p.refusals), "")

    @property
    def is_full(self) -> bool:
        """Whether more waits than a brief delay explains, besides what the broker refuses to take."""
        with self._lock:
            sizes = [parcel.size for parcel in self._waiting if not parcel.refusals]
            return len(sizes) > FULL_WAITING or sum(sizes) > FULL_WAITING_BYTES

    @property
    def max_packet(self) -> int | None:
        """The largest packet the broker takes, in bytes, as it said or as was found out; None: no limit is known."""
        return self._limit.max_bytes

    def add(self, message: Outgoing, size: int) -> list[GivenUp]:
        """Take *message* of *size* bytes on; returns what was given up for it, or itself."""
        with self._lock:
            parcel = Parcel(message, size)
            if not self._window and parcel.goes_once:
                return [self._give_up(message, "not connected")]
            stale = self._refused_before(message)
            if stale is not None:
                given_up = self._give_up(stale.message, "a newer one takes its place")
                stale.message, stale.size = message, size
                return [given_up]
            self._waiting.append(parcel)
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

    def take(self, now: float) -> Parcel | None:
        """Take out the next message to send; None when there is none, or the window is full."""
        with self._lock:
            parcel = next((p for p in self._waiting if p.not_before <= now and not self._is_held(p)), None)
            if parcel is None or not self._may_fly(parcel, now):
                return None
            self._waiting.remove(parcel)
            return parcel

    def sent(self, mid: int, parcel: Parcel) -> None:
        """Note that *parcel* is on its way as packet *mid*."""
        with self._lock:
            self._flying[mid] = parcel

    def arrived(self, mid: int, now: float) -> Outgoing | None:
        """Note that packet *mid* has arrived, or was written if of QoS 0; returns its message."""
        with self._lock:
            parcel = self._flying.pop(mid, None)
            if parcel is None:
                return None
            if parcel.message.qos:
                self._limit.taken(parcel.size)
            else:
                self._limit.written(parcel.size, now)
            return parcel.message

    def refused(self, mid: int, reason: str, now: float) -> tuple[Outgoing, list[GivenUp]] | None:
        """Note that the broker refused packet *mid*; what must arrive, or is retained, is tried again later."""
        with self._lock:
            parcel = self._flying.pop(mid, None)
            if parcel is None:
                return None
            if not parcel.message.must_arrive and not self._is_newest_state(parcel.message):
                return parcel.message, [self._give_up(parcel.message, reason)]
            parcel.put_off(reason, now)
            self._insert(parcel)
            return parcel.message, []

    def _refused_before(self, message: Outgoing) -> Parcel | None:
        """Find what waits because the broker refused it, and is out of date with *message*."""
        refused = (p for p in self._waiting if p.refusals and p.message.retain and not p.message.must_arrive)
        return next((p for p in refused if message.retain and p.message.topic == message.topic), None)

    def _is_newest_state(self, message: Outgoing) -> bool:
        """Whether *message* is to be retained, and nothing newer for its topic is on its way."""
        others = (parcel.message for parcel in (*self._waiting, *self._flying.values()))
        return message.retain and not any(other.topic == message.topic for other in others)

    def _is_held(self, parcel: Parcel) -> bool:
        """Whether what *parcel* must come after is still on its way."""
        ahead = (other.message.publication for other in (*self._waiting, *self._flying.values()))
        return bool(parcel.message.after) and not parcel.message.after.isdisjoint(ahead)

    def _insert(self, parcel: Parcel) -> None:
        """Put *parcel* back to its place."""
        number = parcel.message.publication
        behind = (place for place, other in enumerate(self._waiting) if other.message.publication > number)
        self._waiting.insert(next(behind, len(self._waiting)), parcel)

    def unsendable(self, parcel: Parcel, reason: str) -> list[GivenUp]:
        """Note that *parcel* cannot be put into a packet; returns what is given up for it."""
        with self._lock:
            return self._give_up_all({parcel: reason})

    def unreachable(self) -> None:
        """Note that no connection came about: who answers next may take other sizes."""
        self._limit.forget()

    def disconnected(self, cause: Cause, now: float) -> list[GivenUp]:
        """Note that the connection ended: what was in flight waits again, in its order, or is given up."""
        with self._lock:
            self._window = 0
            flying = list(self._flying.values())
            self._flying.clear()
            self._judge([parcel for parcel in flying if not parcel.goes_once], cause)
            for parcel in flying:
                if parcel.goes_once:  # and is still being written
                    self._limit.written(parcel.size, now)
            if cause in _ITS_DOING:
                self._limit.ended(now, calm=now >= self._calm_at)
            self._waiting.extendleft(reversed(flying))
            return self._give_up_all({p: reason for p in self._waiting if (reason := p.reason_to_give_up)})

    def _judge(self, flying: list[Parcel], cause: Cause) -> None:
        """Ask of each message in flight whether the connection ended because of it."""
        if not flying and cause is not Cause.OURS:
            for parcel in self._waiting:
                parcel.strikes = 0
        if cause not in _ITS_DOING:
            return
        for parcel in flying:
            parcel.strike(cause, alone=len(flying) == 1)
            if parcel.is_poison:
                self._limit.choked(parcel.size)

    def _may_fly(self, parcel: Parcel, now: float) -> bool:
        if parcel.is_suspect and now < self._calm_at:
            return False
        if not self._flying:
            return self._window > 0
        if parcel.strikes or any(other.strikes for other in self._flying.values()):
            return False
        flying_bytes = sum(other.size for other in self._flying.values())
        return len(self._flying) < self._window and flying_bytes + parcel.size <= MAX_FLYING_BYTES

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

    def _give_up_all(self, reasons: Mapping[Parcel, str]) -> list[GivenUp]:
        """Give up parcels, and what waits and is nothing without them."""
        gone = {parcel.message.publication for parcel in reasons}
        orphans = [p for p in self._waiting if p not in reasons and not p.message.needs.isdisjoint(gone)]
        all_reasons = {**reasons, **dict.fromkeys(orphans, "what it belongs to was given up")}
        self._waiting = deque(parcel for parcel in self._waiting if parcel not in all_reasons)
        return [self._give_up(parcel.message, reason) for parcel, reason in all_reasons.items()]

    def _give_up(self, message: Outgoing, reason: str) -> GivenUp:
        self._lost += 1
        return GivenUp(message.publication, reason)
