"""What a broker takes at most, as far as that can be known."""

from __future__ import annotations

from edge_worker.mqtt.size_limit import TELLING_BYTES, SizeLimit


def test_the_smaller_of_said_and_found_out_holds() -> None:
    """A broker may say nothing, or less than is true."""
    limit = SizeLimit()
    limits = [limit.max_bytes]
    limit.announced(100_000)
    limit.choked(80_000)
    limits.append(limit.max_bytes)
    limit.announced(50_000)
    assert [*limits, limit.max_bytes] == [None, 60_000, 50_000]


def test_what_was_taken_is_not_too_large() -> None:
    """The limit lies between that and what the broker chokes on."""
    limit = SizeLimit()
    limit.taken(95_000)
    limit.choked(100_000)
    assert limit.max_bytes == 95_000


def test_a_limit_that_was_lowered_is_found_out() -> None:
    """The broker read its configuration again, and now chokes on what it took before."""
    limit = SizeLimit()
    limit.taken(95_000)
    limit.choked(60_000)
    assert limit.max_bytes == 45_000


def test_small_messages_prove_nothing_about_sizes() -> None:
    """Else one odd message would silence the worker."""
    limit = SizeLimit()
    limit.choked(TELLING_BYTES)
    assert limit.max_bytes is None


def test_a_guess_is_forgotten_with_the_broker() -> None:
    """The next may take more."""
    limit = SizeLimit()
    limit.choked(100_000)
    limit.forget()
    assert limit.max_bytes is None
