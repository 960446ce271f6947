"""The budget of unacknowledged messages."""

from __future__ import annotations

from edge_worker.mqtt.unacked import MAX_BYTES, MAX_MESSAGES, Unacked


def test_a_broker_that_keeps_to_the_agreement_is_never_shed() -> None:
    """Within the budget every message is admitted, again and again."""
    unacked = Unacked(receive_maximum=4)
    for mid in range(1, 1000):
        assert unacked.admits(mid, 1000)
        unacked.settle(mid)
    assert (unacked.shed, unacked.wants_reconnect) == (0, False)


def test_past_the_budget_everything_is_left_for_redelivery_in_order() -> None:
    """Once one message was shed all later ones are too, or they would overtake it; a reconnect fetches them."""
    unacked = Unacked(receive_maximum=1)
    admitted = [unacked.admits(mid, 10) for mid in range(1, MAX_MESSAGES + 11)]
    assert admitted == [True] * MAX_MESSAGES + [False] * 10
    unacked.settle(1)
    assert not unacked.admits(100, 10)
    assert (unacked.shed, unacked.wants_reconnect) == (11, False)
    for mid in range(2, MAX_MESSAGES + 1):
        unacked.settle(mid)
    assert (unacked.shed, unacked.wants_reconnect) == (11, True)


def test_bytes_are_budgeted_too_but_one_message_is_always_admitted() -> None:
    """A single message over the budget would else never be delivered."""
    unacked = Unacked(receive_maximum=4)
    assert unacked.admits(1, MAX_BYTES + 1)
    assert not unacked.admits(2, 1)
    unacked.settle(1)
    assert unacked.wants_reconnect


def test_a_larger_receive_maximum_is_honoured() -> None:
    """What was asked for is not shed."""
    unacked = Unacked(receive_maximum=100)
    assert all(unacked.admits(mid, 1) for mid in range(100))
