"""Which subscriptions are asked for, granted or refused on one connection. Pure: time is passed in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from edge_worker.mqtt.message import Subscription

RETRY_S: Final = (2.0, 5.0, 15.0, 60.0)
"""Waits between attempts at what was refused; the last one repeats."""

MAX_FILTERS: Final = 8
"""In one SUBSCRIBE: AWS IoT takes no more."""

_LEFT_OUT: Final = "the broker's answer leaves it out"


class Subscriber:
    """Asks for everything at first, then for what was refused, again and again."""

    def __init__(self, subscriptions: Sequence[Subscription]) -> None:
        """Begin with nothing asked for."""
        self._open = tuple(subscriptions)
        self._shared = tuple(one for one in subscriptions if one.share_group)
        self._asked: dict[int, tuple[Subscription, ...]] = {}
        self._excluded: tuple[Subscription, ...] = ()
        self._refusals = 0
        self.refused: dict[Subscription, str] = {}
        """What was refused and is not granted since, and why."""
        self.due_at = 0.0
        """When to ask again, monotonic seconds; meaningless while nothing is open."""

    def exclude(self, objection: Callable[[Subscription], str]) -> list[tuple[Subscription, str]]:
        """Never ask on this connection for what *objection* gives a reason against; returns that, and why."""
        reasons = {one: objection(one) for one in self._open}
        self._excluded = tuple(one for one, reason in reasons.items() if reason)
        self._open = tuple(one for one, reason in reasons.items() if not reason)
        self.refused.update((one, reasons[one]) for one in self._excluded)
        return [(one, reasons[one]) for one in self._excluded]

    def leave_groups(self) -> tuple[Subscription, ...]:
        """Never ask for a shared subscription again; returns all there are, to be given up."""
        self._open = tuple(one for one in self._open if not one.share_group)
        return self._shared

    @property
    def is_waiting(self) -> bool:
        """Whether something is to be asked for (when it is due)."""
        return bool(self._open)

    @property
    def is_complete(self) -> bool:
        """Whether everything is granted."""
        return not self._open and not self._asked and not self._excluded

    @property
    def unanswered(self) -> tuple[str, ...]:
        """The filters that were asked for and not answered yet."""
        return tuple(subscription.filter for group in self._asked.values() for subscription in group)

    def due(self, now: float) -> Iterator[tuple[Subscription, ...]]:
        """Yield what to ask for now, a group for each SUBSCRIBE."""
        if now < self.due_at:
            return
        for first in range(0, len(self._open), MAX_FILTERS):
            yield self._open[first : first + MAX_FILTERS]

    def asked(self, mid: int, subscriptions: Sequence[Subscription]) -> None:
        """Note that *subscriptions*, which were due, were asked for in packet *mid*."""
        self._asked[mid] = tuple(subscriptions)
        self._open = tuple(one for one in self._open if one not in subscriptions)

    def answered(self, mid: int, refusals: Sequence[str | None], now: float) -> list[tuple[Subscription, str]]:
        """Note the broker's answer to packet *mid*; returns what was refused, and why."""
        asked = self._asked.pop(mid, ())
        verdicts = dict(zip(asked, (*refusals, *[_LEFT_OUT] * len(asked)), strict=False))
        refused = [(subscription, reason) for subscription, reason in verdicts.items() if reason is not None]
        self.refused = {one: why for one, why in self.refused.items() if one not in verdicts} | dict(refused)
        if refused:
            self._open += tuple(subscription for subscription, _ in refused)
            self.due_at = now + RETRY_S[min(self._refusals, len(RETRY_S) - 1)]
            self._refusals += 1
        return refused
