"""How an attempt or a connection ended. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from edge_worker.mqtt.backoff import Failure
from edge_worker.mqtt.connection_events import Cause
from edge_worker.mqtt.diagnosis import dots_hint
from edge_worker.mqtt.events import Disconnected, Refused, Unreachable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edge_worker.mqtt.connection_events import ConnectRefused, WillObjection
    from edge_worker.mqtt.diagnosis import Symptom
    from edge_worker.mqtt.events import Protocol

MOST_NAMED: Final = 12
"""Filters that a reason names; the others are only counted."""


@dataclass(frozen=True, slots=True)
class Ending:
    """How an attempt or a connection ended, and the ``event`` that says so.

    ``failure`` is None when we left on purpose. ``lasted_s`` and ``cause`` are None when it was never accepted;
    ``symptom`` is then what may be the protocol's fault, ``will_objection`` which part of the will was refused.
    """

    failure: Failure | None
    event: Unreachable | Refused | Disconnected
    lasted_s: float | None = None
    cause: Cause | None = None
    symptom: Symptom | None = None
    will_objection: WillObjection = ""


def refused(link: str, answer: ConnectRefused) -> Ending:
    """Conclude from a CONNACK that refuses."""
    failure = Failure.REFUSED if answer.permanent else Failure.FAILED
    symptom: Symptom | None = "unsupported" if answer.unsupported_version else None
    event = Refused(link, answer.reason, answer.permanent)
    return Ending(failure, event, symptom=symptom, will_objection=answer.will_objection)


def unanswered(link: str, cause: Cause, reason: str, protocol: Protocol, suspicion: str) -> Ending:
    """Conclude from an end before the broker answered CONNECT in *protocol*; *suspicion* is what it may have missed."""
    symptom: Symptom = "silent" if cause is Cause.SILENCE else "closed"
    if symptom == "closed":
        reason = f"closed before the broker answered CONNECT (MQTT {protocol}): {reason}; {suspicion}"
    return Ending(_failure(cause), Unreachable(link, reason), symptom=symptom)


def disconnected(
    link: str, cause: Cause, reason: str, *, leaving: str, lasted_s: float, was_refused: bool, asked: Sequence[str]
) -> Ending:
    """Conclude from the end of an accepted connection.

    *leaving*: why we were about to end it, if we were. *was_refused*: a message was, just before. *asked*: filters for
    which SUBSCRIBE was not answered.
    """
    failure = _failure(cause)
    if cause is Cause.BROKER and was_refused:
        cause, failure, reason = Cause.REFUSAL, Failure.EXPLAINED, f"{reason}, over a message that was refused"
    if cause is not Cause.OURS and asked:
        cause = Cause.SUBSCRIBE if cause is Cause.BROKER else cause
        reason = f"{reason}; the broker had not answered SUBSCRIBE ({abbreviated(asked)}){dots_hint(*asked)}"
    return Ending(failure, Disconnected(link, leaving or reason), lasted_s, cause)


def abbreviated(names: Sequence[str]) -> str:
    """Name the first of many, and the number of the others."""
    more = len(names) - MOST_NAMED
    return ", ".join(names[:MOST_NAMED]) + (f" and {more} more" if more > 0 else "")


def _failure(cause: Cause) -> Failure | None:
    if cause is Cause.OURS:
        return None
    return Failure.EXPLAINED if cause is Cause.DENIED else Failure.FAILED
