"""What is concluded from how a connection ended."""

from __future__ import annotations

from typing import Any

import pytest

from edge_worker.mqtt import ending
from edge_worker.mqtt.backoff import Failure
from edge_worker.mqtt.connection_events import Cause, ConnectRefused


def ended(cause: Cause, **known: Any) -> ending.Ending:  # noqa: ANN401 - what is known besides
    """End an accepted connection over *cause*, of which nothing else is known but *known*."""
    defaults: dict[str, Any] = {"leaving": "", "lasted_s": 9.0, "was_refused": False, "asked": ()}
    return ending.disconnected("link", cause, "closed", **(defaults | known))


@pytest.mark.parametrize(
    ("cause", "failure"),
    [(Cause.OURS, None), (Cause.DENIED, Failure.EXPLAINED), (Cause.BROKER, Failure.FAILED)],
)
def test_what_we_did_ourselves_is_no_failure(cause: Cause, failure: Failure | None) -> None:
    """And what the broker explains by a message throws nobody out."""
    assert ended(cause).failure is failure


def test_a_message_refused_just_before_explains_a_close_without_a_word() -> None:
    """It is named, and the broker is asked again soon. What the broker explains otherwise stays as it says."""
    closed = ended(Cause.BROKER, was_refused=True)
    assert (closed.cause, closed.failure) == (Cause.REFUSAL, Failure.EXPLAINED)
    assert "a message that was refused" in closed.event.reason
    assert ended(Cause.TAKEN_OVER, was_refused=True).cause is Cause.TAKEN_OVER


def test_filters_that_were_not_answered_are_named_and_many_counted() -> None:
    """A close without a word is then said to be over SUBSCRIBE; silence stays silence."""
    filters = [f"cameras/{number}" for number in range(ending.MOST_NAMED + 3)]
    closed, silent = ended(Cause.BROKER, asked=filters), ended(Cause.SILENCE, asked=filters)
    assert (closed.cause, silent.cause) == (Cause.SUBSCRIBE, Cause.SILENCE)
    assert "cameras/0," in closed.event.reason
    assert "and 3 more" in closed.event.reason
    assert filters[-1] not in closed.event.reason


def test_our_reason_to_leave_is_the_one_that_is_told() -> None:
    """Whatever the broker did on our way out."""
    assert ended(Cause.BROKER, leaving="stopping", asked=("a",)).event.reason == "stopping"


def test_an_end_before_any_answer_may_be_the_protocols_fault() -> None:
    """Silence and a close are told apart: the second may be over TLS as well, and says so."""
    silent = ending.unanswered("link", Cause.SILENCE, "no answer", "5", "does it expect TLS?")
    closed = ending.unanswered("link", Cause.BROKER, "closed", "5", "does it expect TLS?")
    assert (silent.symptom, closed.symptom) == ("silent", "closed")
    assert "does it expect TLS?" not in silent.event.reason
    assert closed.event.reason.endswith("CONNECT (MQTT 5): closed; does it expect TLS?")
    assert (silent.lasted_s, closed.cause) == (None, None)


@pytest.mark.parametrize(("permanent", "failure"), [(True, Failure.REFUSED), (False, Failure.FAILED)])
def test_a_refusal_that_only_a_person_can_lift_is_tried_less_often(*, permanent: bool, failure: Failure) -> None:
    """And only a version that is refused leads to the other one."""
    refusals = [ConnectRefused("no", permanent, unsupported_version=version) for version in (True, False)]
    endings = [ending.refused("link", refusal) for refusal in refusals]
    assert [one.failure for one in endings] == [failure, failure]
    assert [one.symptom for one in endings] == ["unsupported", None]
