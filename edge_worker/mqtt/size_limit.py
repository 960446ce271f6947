"""The largest packet a broker accepts: as it says, or as it turns out. Pure: time is passed in.

MQTT 5 brokers name their limit or give 0x95 as a reason. Others close the connection, whether a message is too large or
its topic forbidden. A limit is concluded only from what size alone explains.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

NEVER_TOO_LARGE_BYTES: Final = 1024
"""A broker that takes no message of this size takes none at all: a smaller one is not too large."""

GUESS: Final = 0.75
"""This share of a size that the broker ends connections over is assumed as its limit, unless more was accepted before:
rather too low than found out message by message."""

GUESS_S: Final = 600.0
"""A guess holds for this long; then a larger message is tried again."""

WRITTEN_S: Final = 1.0
"""A message of QoS 0 that the connection outlived by this much was accepted."""

MAX_ENDS: Final = 4
"""This many stable connections in a row that end right after such a message are no accident."""

MAX_TOPICS: Final = 1024  # names of cameras come from outside


class Written(NamedTuple):
    """A message of QoS 0 that was written, which nobody acknowledges."""

    topic: str
    size: int
    at: float


@dataclass(frozen=True, slots=True)
class _Guess:
    limit: int
    until: float


class PacketLimit(NamedTuple):
    """How many bytes a packet for some topic may have.

    ``supposed``: concluded from connections that ended over that topic, which may be forbidden instead.
    """

    bytes: int
    supposed: bool = False


Verdict = Literal["size", "topic"]
"""What a broker that closes connections over a message objects to: its size, or (probably) its topic."""


class SizeLimit:
    """What is known of it; guesses are forgotten when the broker cannot be reached: another one may come back."""

    def __init__(self) -> None:
        """Know nothing."""
        self._announced: int | None = None
        self._guess: _Guess | None = None
        self._of_topic: dict[str, _Guess] = {}
        self._taken = 0
        self._taken_by_topic: OrderedDict[str, int] = OrderedDict()  # largest by topic

    def max_bytes(self, now: float, topic: str = "") -> int | None:
        """The limit in force for *topic* (empty: for all); None: none known."""
        guesses = (self._guess, self._of_topic.get(topic))
        limits = [self._announced, *(guess.limit for guess in guesses if guess is not None and now < guess.until)]
        return min((limit for limit in limits if limit is not None), default=None)

    def is_supposed(self, now: float, topic: str) -> bool:
        """Whether the limit for *topic* is a guess that other topics do not share."""
        guess = self._of_topic.get(topic)
        return guess is not None and now < guess.until and guess.limit == self.max_bytes(now, topic)

    def announced(self, limit: int | None) -> None:
        """Note what the broker says itself (None: nothing)."""
        self._announced = limit

    def taken(self, topic: str, size: int, now: float) -> None:
        """Note that the broker acknowledged a message of *size* bytes for *topic*."""
        self._taken = max(self._taken, size)
        self._taken_by_topic[topic] = max(size, self._taken_by_topic.pop(topic, 0))
        if len(self._taken_by_topic) > MAX_TOPICS:
            self._taken_by_topic.popitem(last=False)
        if (guess := self._of_topic.pop(topic, None)) is not None and size <= guess.limit:
            self._guess = _Guess(guess.limit, now + GUESS_S)  # the topic is allowed: it was the size

    def too_large(self, size: int, now: float) -> None:
        """Note that the broker called a message of *size* bytes too large."""
        if self._taken >= size:  # its limit has changed since
            self._taken = 0
            self._taken_by_topic.clear()
        self._guess = _Guess(max(self._taken, int(size * GUESS)), now + GUESS_S)

    def closed_over(self, topic: str, size: int, now: float) -> Verdict:
        """Note that the broker closes connections over a message for *topic* of *size* bytes, and judge why.

        A size that the broker takes elsewhere is not too large. Where it takes smaller ones on the same topic, it is
        too large. In between that is supposed, for this topic only.
        """
        if size <= max(self._taken, NEVER_TOO_LARGE_BYTES):
            return "topic"
        if topic in self._taken_by_topic:
            self.too_large(size, now)
        elif len(self._of_topic) < MAX_TOPICS:
            self._of_topic[topic] = _Guess(int(size * GUESS), now + GUESS_S)
        return "size"

    def forget(self) -> None:
        """Note that the broker cannot be reached."""
        self._guess, self._taken = None, 0
        self._of_topic.clear()
        self._taken_by_topic.clear()


class UnconfirmedMessages:
    """Messages of QoS 0 that were just written, and how often the end of the connection came right after."""

    def __init__(self, on_taken: Callable[[str], None]) -> None:
        """Suspect nothing; *on_taken* is told the topic of each message that the connection outlived."""
        self._on_taken = on_taken
        self._fresh: deque[Written] = deque()
        self._suspect: Written | None = None
        self._ends = 0

    def sent(self, topic: str, size: int, now: float) -> None:
        """Note that a message of *size* bytes for *topic* was written."""
        self._settle(now)
        self._fresh.append(Written(topic, size, now))

    def fresh(self, now: float) -> tuple[Written, ...]:
        """What may not have been taken yet, oldest first."""
        self._settle(now)
        return tuple(self._fresh)

    def ended(self, now: float, *, stable: bool) -> Written | None:
        """Note that the broker ended the connection, which had stood for a while or not (*stable*).

        Returns:
            The message that the broker objects to; None as long as none is proven.
        """
        self._settle(now)
        largest = max(self._fresh, key=lambda one: one.size, default=None)
        self._fresh.clear()
        if largest is None or not stable:
            return None
        smaller = self._suspect is None or not self._ends or largest.size <= self._suspect.size
        self._suspect = largest if smaller else self._suspect
        self._ends += 1
        if self._ends < MAX_ENDS:
            return None
        self._ends = 0
        return self._suspect

    def _settle(self, now: float) -> None:
        while self._fresh and now - self._fresh[0].at >= WRITTEN_S:
            taken = self._fresh.popleft()
            self._on_taken(taken.topic)
            if self._suspect is not None and taken.size >= self._suspect.size:
                self._ends = 0
