"""What a broker takes at most, as far as that can be known."""

from __future__ import annotations

from edge_worker.mqtt.size_limit import (
    GUESS_S,
    MAX_ENDS,
    NEVER_TOO_LARGE_BYTES,
    WRITTEN_S,
    SizeLimit,
    UnconfirmedMessages,
)

NOW = 0.0


def test_the_smaller_of_said_and_found_out_holds() -> None:
    """A broker may say nothing, or less than is true."""
    limit = SizeLimit()
    limits = [limit.max_bytes(NOW)]
    limit.announced(100_000)
    limit.too_large(80_000, NOW)
    limits.append(limit.max_bytes(NOW))
    limit.announced(50_000)
    assert [*limits, limit.max_bytes(NOW)] == [None, 60_000, 50_000]


def test_what_was_taken_is_not_too_large() -> None:
    """The limit lies between that and what the broker ends connections over."""
    limit = SizeLimit()
    limit.taken("t", 95_000, NOW)
    assert limit.closed_over("t", 100_000, NOW) == "size"
    assert limit.max_bytes(NOW) == 95_000


def test_a_limit_that_was_lowered_is_believed_when_the_broker_says_so() -> None:
    """It read its configuration again, and now calls too large what it took before."""
    limit = SizeLimit()
    limit.taken("t", 95_000, NOW)
    limit.too_large(60_000, NOW)
    assert limit.max_bytes(NOW) == 45_000


def test_a_size_is_supposed_for_one_topic_until_that_takes_a_smaller_one() -> None:
    """A topic that is forbidden looks the same; one that takes a smaller message is not."""
    limit = SizeLimit()
    assert limit.closed_over("map", 100_000, NOW) == "size"
    assert (limit.max_bytes(NOW, "map"), limit.max_bytes(NOW, "labels")) == (75_000, None)
    limit.taken("map", 50_000, NOW)
    assert limit.max_bytes(NOW, "labels") == 75_000


def test_small_messages_prove_nothing_about_sizes() -> None:
    """Else one odd message would silence the worker."""
    limit = SizeLimit()
    assert limit.closed_over("t", NEVER_TOO_LARGE_BYTES, NOW) == "topic"
    assert limit.max_bytes(NOW, "t") is None


def test_a_guess_expires_and_is_forgotten_with_the_broker() -> None:
    """Its limit may be raised, and the next broker may take more."""
    limit = SizeLimit()
    limit.too_large(100_000, NOW)
    assert limit.max_bytes(GUESS_S) is None
    limit.forget()
    assert limit.max_bytes(NOW) is None


def end(unconfirmed: UnconfirmedMessages, *sizes: int, after_s: float = 0.1, stable: bool = True) -> int | None:
    """Write messages, and have the connection end some time later; returns the size found too large."""
    for size in sizes:
        unconfirmed.sent("t", size, 0.0)
    found = unconfirmed.ended(after_s, stable=stable)
    return None if found is None else found.size


def test_a_row_of_ends_right_after_a_message_proves_its_size() -> None:
    """The smallest of the largest ones: whatever is that large is not tried again."""
    unconfirmed = UnconfirmedMessages(lambda _: None)
    ends = [end(unconfirmed, 10, 5_000 + number) for number in range(MAX_ENDS)]
    assert ends == [*[None] * (MAX_ENDS - 1), 5_000]


def test_a_message_that_was_outlived_is_no_suspect() -> None:
    """Nor is a smaller one; the row begins anew."""
    taken: list[str] = []
    unconfirmed = UnconfirmedMessages(taken.append)
    for _ in range(3):
        assert [end(unconfirmed, 5_000) for _ in range(MAX_ENDS - 1)] == [None] * (MAX_ENDS - 1)
        end(unconfirmed, 6_000, after_s=WRITTEN_S)
    assert taken == ["t"] * 3


def test_ends_of_connections_that_had_just_begun_prove_nothing() -> None:
    """That is what a bad network looks like."""
    unconfirmed = UnconfirmedMessages(lambda _: None)
    assert not any(end(unconfirmed, 5_000, stable=False) for _ in range(10 * MAX_ENDS))
