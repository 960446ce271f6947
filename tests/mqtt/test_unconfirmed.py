"""Connections that end right after a message nobody acknowledges."""

from __future__ import annotations

from edge_worker.mqtt.unconfirmed import MAX_ENDS, SINK_S, Unconfirmed


def end(unconfirmed: Unconfirmed, *sizes: int, after_s: float = 0.1, calm: bool = True) -> int | None:
    """Write messages, and have the connection end some time later; returns the size found too large."""
    for size in sizes:
        unconfirmed.sent(size, 0.0)
    return unconfirmed.ended(after_s, calm=calm)


def test_a_row_of_ends_right_after_a_message_proves_its_size() -> None:
    """The smallest of the largest ones: whatever is that large is not tried again."""
    unconfirmed = Unconfirmed()
    ends = [end(unconfirmed, 10, 5_000 + number) for number in range(MAX_ENDS)]
    assert ends == [*[None] * (MAX_ENDS - 1), 5_000]


def test_a_message_that_was_outlived_is_no_suspect() -> None:
    """Nor is a smaller one; the row begins anew."""
    unconfirmed = Unconfirmed()
    for _ in range(3):
        assert [end(unconfirmed, 5_000) for _ in range(MAX_ENDS - 1)] == [None] * (MAX_ENDS - 1)
        end(unconfirmed, 6_000, after_s=SINK_S)


def test_ends_of_connections_that_had_just_begun_prove_nothing() -> None:
    """That is what a bad network looks like."""
    unconfirmed = Unconfirmed()
    assert not any(end(unconfirmed, 5_000, calm=False) for _ in range(10 * MAX_ENDS))
