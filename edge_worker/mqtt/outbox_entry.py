"""A message on its way to the broker, and what happened to it so far. Pure: time is passed in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from edge_worker.mqtt.connection_events import Cause
from edge_worker.mqtt.denials import RETRY_MAX_S, RETRY_MIN_S
from edge_worker.mqtt.diagnosis import dots_hint

if TYPE_CHECKING:
    from edge_worker.mqtt.message import Outgoing

SUSPECT_ATTEMPTS: Final = 2
STABLE_S: Final = 2.0
MAX_ATTEMPTS: Final = 4
"""An attempt failed if the message was in flight when the broker ended the connection; it is sent alone from then on.
After ``SUSPECT_ATTEMPTS`` it is sent only on a connection that has stood for ``STABLE_S``. A connection that ends with
nothing in flight speaks for a bad network or a restart, and clears all. ``MAX_ATTEMPTS`` are then no accident: the
broker ends connections over it (MQTT 3.1.1 has no other way to say that it is too large)."""


@dataclass(slots=True, eq=False)
class OutboxEntry:
    """A message of ``size`` bytes as a packet; not to be sent before ``not_before``."""

    message: Outgoing
    size: int
    failed_attempts: int = 0
    refusals: int = 0
    refusal: str = ""
    not_before: float = 0.0
    too_large: bool = False
    alone: bool = False
    """Whether it is sent with nothing else in flight, so that the broker's next word is about it."""

    @property
    def is_best_effort(self) -> bool:
        """Whether it is not sent again on another connection."""
        return self.message.qos == 0 and not self.message.must_arrive

    @property
    def is_kept(self) -> bool:
        """Whether it waits for a permission that the broker denies."""
        return self.message.must_arrive or self.message.retain

    @property
    def is_suspect(self) -> bool:
        """Whether the broker may be ending connections over it."""
        return self.failed_attempts >= SUSPECT_ATTEMPTS

    @property
    def is_poison(self) -> bool:
        """Whether the broker ends connections over it."""
        return self.failed_attempts >= MAX_ATTEMPTS

    @property
    def reason_to_give_up(self) -> str:
        """Why it is not to outlive the connection that ended; empty if it is."""
        if self.is_poison:
            doubt = "too large" if self.too_large else f"too large, or no permission for {self.message.topic}"
            return f"the broker closes the connection over it: {doubt}?{dots_hint(self.message.topic)}"
        if self.refusals and not self.is_kept:
            return self.refusal
        return "connection lost" if self.is_best_effort else ""

    def attempt_failed(self, cause: Cause, *, alone: bool) -> None:
        """Note that the broker ended the connection while this was in flight, *alone* or among others."""
        if alone:
            self.failed_attempts += MAX_ATTEMPTS if cause is Cause.TOO_LARGE else 1
        else:
            self.failed_attempts = max(self.failed_attempts, 1)

    def put_off(self, reason: str, now: float) -> None:
        """Note that the broker refused it because of *reason*; it is tried again ever later."""
        self.not_before = now + min(RETRY_MAX_S, RETRY_MIN_S * 2.0 ** min(self.refusals, 10))
        self.refusals, self.refusal = self.refusals + 1, reason
