"""The budget of unacknowledged messages."""

from __future__ import annotations

from edge_worker.mqtt.receive_window import MAX_BYTES, MAX_MESSAGES, ReceiveWindow


def test_a_broker_that_keeps_to_the_agreement_is_never_shed() -> None:
    """Within the budget every message is admitted, again and again."""
    receive_window = ReceiveWindow(receive_maximum=4)
    for mid in range(1, 1000):
        assert receive_window.admits(mid, 1000)
        receive_window.settle(mid)
    assert (receive_window.shed, receive_window.wants_reconnect) == (0, False)


def test_past_the_budget_everything_is_left_for_redelivery_in_order() -> None:
    """Once one message was shed all later ones are too, or they would overtake it; a reconnect fetches them."""
    receive_window = ReceiveWindow(receive_maximum=1)
    admitted = [receive_window.admits(mid, 10) for mid in range(1, MAX_MESSAGES + 11)]
    assert admitted == [True] * MAX_MESSAGES + [False] * 10
    receive_window.settle(1)
    assert not receive_window.admits(100, 10)
    assert (receive_window.shed, receive_window.wants_reconnect) == (11, False)
    for mid in range(2, MAX_MESSAGES + 1):
        receive_window.settle(mid)
    assert (receive_window.shed, receive_window.wants_reconnect) == (11, True)


def test_bytes_are_budgeted_too_but_one_message_is_always_admitted() -> None:
    """A single message over the budget would else never be delivered."""
    receive_window = ReceiveWindow(receive_maximum=4)
    assert receive_window.admits(1, MAX_BYTES + 1)
    assert not receive_window.admits(2, 1)
    receive_window.settle(1)
    assert receive_window.wants_reconnect


def test_a_larger_receive_maximum_is_honoured() -> None:
    """What was asked for is not shed."""
    receive_window = ReceiveWindow(receive_maximum=100)
    assert all(receive_window.admits(mid, 1) for mid in range(100))
