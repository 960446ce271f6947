"""The budget of unacknowledged messages."""

from __future__ import annotations

from edge_worker.mqtt.receiver import ReceiveWindow


def test_a_broker_that_keeps_to_the_agreement_is_never_shed() -> None:
    """Within the budget every message is admitted, again and again."""
    receive_window = ReceiveWindow(4000)
    for mid in range(1, 1000):
        assert receive_window.admits(mid, 1000)
        receive_window.settle(mid)
    assert (receive_window.held, receive_window.shed, receive_window.wants_reconnect) == (0, 0, False)


def test_messages_are_held_whatever_their_number() -> None:
    """Only the memory they take counts: a broker with a limit of its own sends hundreds at once."""
    receive_window = ReceiveWindow(100_000)
    assert all(receive_window.admits(mid, 100) for mid in range(1, 1001))
    assert (receive_window.held, receive_window.shed) == (1000, 0)


def test_past_the_budget_everything_is_left_for_redelivery_in_order() -> None:
    """Once one message was shed all later ones are too, or they would overtake it; a reconnect fetches them."""
    receive_window = ReceiveWindow(320)
    assert [receive_window.admits(mid, 10) for mid in range(1, 43)] == [True] * 32 + [False] * 10
    receive_window.settle(1)
    assert not receive_window.admits(100, 10)
    assert (receive_window.shed, receive_window.wants_reconnect) == (11, False)
    for mid in range(2, 33):
        receive_window.settle(mid)
    assert (receive_window.shed, receive_window.wants_reconnect) == (11, True)


def test_one_message_is_always_admitted() -> None:
    """A single message over the budget would else never be delivered."""
    receive_window = ReceiveWindow(1000)
    assert receive_window.admits(1, 1001)
    assert not receive_window.admits(2, 1)
    receive_window.settle(1)
    assert receive_window.wants_reconnect


def test_a_message_sent_again_takes_no_more_room() -> None:
    """NATS repeats after 30 s what is not acknowledged, under the same packet identifier."""
    receive_window = ReceiveWindow(1000)
    assert all(receive_window.admits(7, 600) for _ in range(10))
    receive_window.settle(7)
    assert receive_window.admits(8, 1000)
