"""Subscriptions of one connection."""

from __future__ import annotations

from edge_worker.mqtt.message import Subscription
from edge_worker.mqtt.subscriber import MAX_FILTERS, RETRY_S, Subscriber

ONE, TWO = Subscription("one", 1), Subscription("two", 0, share_group="g")


def test_everything_is_asked_for_at_once_and_complete_when_granted() -> None:
    """Between asking and the answer it is neither due nor complete."""
    subscriber = Subscriber([ONE, TWO])
    assert [*subscriber.due(0.0)] == [(ONE, TWO)]
    subscriber.asked(7, (ONE, TWO))
    assert ([*subscriber.due(0.0)], subscriber.is_complete) == ([], False)
    assert subscriber.unanswered == (ONE.filter, TWO.filter)
    assert subscriber.answered(7, [None, None], 1.0) == []
    assert subscriber.is_complete


def test_what_was_refused_is_asked_for_again_ever_less_often() -> None:
    """And only that."""
    subscriber, now = Subscriber([ONE, TWO]), 0.0
    subscriber.asked(1, (ONE, TWO))
    for wait_s in (*RETRY_S, RETRY_S[-1]):
        refusals = [None, "no"] if now == 0.0 else ["no"]
        assert subscriber.answered(1, refusals, now) == [(TWO, "no")]
        assert subscriber.is_waiting
        assert [*subscriber.due(now + wait_s - 0.1)] == []
        now += wait_s
        assert [*subscriber.due(now)] == [(TWO,)]
        subscriber.asked(1, (TWO,))
    assert subscriber.answered(1, [None], now) == []
    assert subscriber.is_complete


def test_without_subscriptions_there_is_nothing_to_wait_for() -> None:
    """A tool that only publishes is ready at once."""
    assert Subscriber([]).is_complete


def test_an_answer_to_a_question_never_asked_changes_nothing() -> None:
    """A broker may say what it likes."""
    subscriber = Subscriber([ONE])
    subscriber.asked(1, (ONE,))
    assert subscriber.answered(2, ["no"], 0.0) == []
    assert not subscriber.is_complete


def test_no_subscribe_has_more_filters_than_brokers_take() -> None:
    """AWS IoT ends the connection over the ninth; all are complete when the last packet is answered."""
    many = [Subscription(f"cameras/{number}/frame", 1) for number in range(2 * MAX_FILTERS + 1)]
    subscriber = Subscriber(many)
    groups = [*subscriber.due(0.0)]
    assert [len(group) for group in groups] == [MAX_FILTERS, MAX_FILTERS, 1]
    for mid, group in enumerate(groups):
        subscriber.asked(mid, group)
    for mid, group in enumerate(groups):
        assert not subscriber.is_complete
        subscriber.answered(mid, [None] * len(group), 0.0)
    assert subscriber.is_complete


def test_what_an_answer_leaves_out_is_not_granted() -> None:
    """A broker that answers for fewer filters than were asked for may have read fewer."""
    subscriber = Subscriber([ONE, TWO])
    subscriber.asked(1, (ONE, TWO))
    assert [one for one, _ in subscriber.answered(1, [None], 0.0)] == [TWO]
    assert not subscriber.is_complete


def test_what_is_refused_stays_known_over_other_answers_until_it_is_granted() -> None:
    """Refusals come in several packets; the status names them all."""
    subscriber = Subscriber([ONE, TWO])
    subscriber.asked(1, (ONE,))
    subscriber.asked(2, (TWO,))
    subscriber.answered(1, ["no"], 0.0)
    subscriber.answered(2, ["never"], 0.0)
    assert subscriber.refused == {ONE: "no", TWO: "never"}
    subscriber.asked(3, (ONE,))
    subscriber.answered(3, [None], 1.0)
    assert subscriber.refused == {TWO: "never"}
