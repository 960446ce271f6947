"""Times as messages carry them, there and back."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_worker.common.timestamps import RFC3339_UTC, epoch_s, in_utc, rfc3339


@given(st.floats(min_value=0, max_value=4e9))
def test_times_are_rfc_3339_in_utc(moment: float) -> None:
    """Every time can be read back, to the millisecond."""
    text = rfc3339(moment)
    assert re.search(RFC3339_UTC, text)
    assert abs(epoch_s(text) - moment) < 0.002


def test_times_keep_their_fraction() -> None:
    """Fractions are kept to the microsecond, and every offset becomes UTC."""
    assert in_utc("2026-01-31T12:00:00.5Z") == "2026-01-31T12:00:00.500000Z"
    assert in_utc("2026-01-31t12:00:00.123456789-05:30") == "2026-01-31T17:30:00.123456Z"


@pytest.mark.parametrize(
    "text",
    [
        "2026-01-31T07:00:00.250-0500",
        "2026-01-31T07:00:00.250-05",
        "2026-01-31T12:00:00.250Z",
        "1769860800.250",
        "1769860800250",
        "1769860800250.0",
        "1769860800250000",
        "1769860800250000000",
    ],
)
def test_the_ways_in_which_senders_write_a_time_are_read(text: str) -> None:
    """An offset without its colon or minutes, seconds to nanoseconds since 1970: one moment."""
    assert in_utc(text) == "2026-01-31T12:00:00.250000Z"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("yesterday", "must be a time like"),
        ("2026-01-31T12:00:00", "must be a time like"),
        ("2026-01-31T12:00:00." + "1" * 100 + "Z", "must be a time like"),
        ("2026-01-31T12:00:00." + "1" * 43 + "Z" + "junk", "must be a time like"),
        ("1769860800." + "0" * 60 + "junk", "must be a time like"),
        ("2026-02-30T12:00:00Z", "is a time that does not exist"),
        ("0001-01-01T00:00:00+23:59", "is a time that does not exist"),
    ],
)
def test_what_is_no_time_is_refused(text: str, problem: str) -> None:
    """The message says what is wrong."""
    with pytest.raises(ValueError, match=problem):
        epoch_s(text)
