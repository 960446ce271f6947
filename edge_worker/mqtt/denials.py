"""Topics that the broker does not let us publish to, as far as it tells. Pure: time is passed in.

MQTT 5 brokers answer a forbidden PUBLISH by PUBACK or DISCONNECT with a reason, older ones by closing the connection.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

RETRY_MIN_S: Final = 1.0
RETRY_MAX_S: Final = 60.0
"""Between two attempts at a topic that was denied: permission may be granted at any time."""

FORGET_S: Final = 600.0
"""A denial not met again for this long is no longer reported."""

MAX_TOPICS: Final = 1024  # names of cameras come from outside


@dataclass(slots=True)
class _Denial:
    reason: str
    refusals: int
    not_before: float


class Denials:
    """Which topics are denied, why, and when each is to be tried again."""

    def __init__(self) -> None:
        """Start without any."""
        self._topics: dict[str, _Denial] = {}

    def denied(self, topic: str, reason: str, now: float) -> None:
        """Note that the broker did not take a message for *topic*; each further attempt comes later."""
        refusals = self._topics[topic].refusals if topic in self._topics else 0
        if topic not in self._topics and len(self._topics) >= MAX_TOPICS:
            del self._topics[next(iter(self._topics))]
        wait_s = min(RETRY_MAX_S, RETRY_MIN_S * 2.0 ** min(refusals, 10))
        self._topics[topic] = _Denial(reason, refusals + 1, now + wait_s)

    def taken(self, topic: str) -> None:
        """Note that the broker took a message for *topic*."""
        self._topics.pop(topic, None)

    def waits(self, topic: str, now: float) -> bool:
        """Whether *topic* is not to be tried yet."""
        denial = self._topics.get(topic)
        return denial is not None and now < denial.not_before

    def is_probed(self, topic: str) -> bool:
        """Whether a message for *topic* is an attempt at a topic that was denied: it is sent alone."""
        return topic in self._topics

    def reason(self, topic: str) -> str:
        """Why *topic* is denied."""
        return self._topics[topic].reason

    def oldest(self, now: float) -> str:
        """The topic that was denied first, and why, for the status; empty where none is."""
        for topic in [name for name, one in self._topics.items() if now - one.not_before > FORGET_S]:
            del self._topics[topic]
        return next((f"{topic} ({denial.reason})" for topic, denial in self._topics.items()), "")
