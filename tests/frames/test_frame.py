"""What a frame is, how old, and which one."""

from __future__ import annotations

import pytest
from samples import make_frame

from edge_worker.frames.frame import DROPS, REJECTIONS, content_id


def test_the_words_of_the_contract_are_split_in_two() -> None:
    """A frame is either answered with an error or dropped; no word means both."""
    assert not DROPS & REJECTIONS
    assert len(DROPS | REJECTIONS) == 14


def test_the_content_id_depends_on_camera_and_payload() -> None:
    """Equal images of one camera have one id; another camera's have another, wherever the border between them is."""
    assert content_id("a", b"bc") == content_id("a", b"bc")
    assert len({content_id("a", b"bc"), content_id("ab", b"c"), content_id("a", b"bd")}) == 3
    assert len(content_id("a", b"")) == 16


@pytest.mark.parametrize(
    ("captured_at", "age"),
    [
        (None, 2.0),
        ("2023-11-14T22:13:15Z", 7.0),  # received 5 s later, as the sender's clock has it
        ("2023-11-14T23:13:15+01:00", 7.0),
        ("2023-11-14T22:13:50Z", 2.0),  # a clock ahead of ours
        ("1970-01-01T00:00:00Z", 2.0),  # a clock that was never set
        ("yesterday", 2.0),
        ("9999-12-31T23:59:59+00:00", 2.0),
        ("0001-01-01T00:00:00Z", 2.0),
    ],
)
def test_age_counts_from_the_capture_where_its_time_is_believable(captured_at: str | None, age: float) -> None:
    """A sender's time makes a frame older; a wrong clock or a malformed time leaves the time of arrival."""
    frame = make_frame(captured_at=captured_at, received_at=1_700_000_000.0, arrived=10.0)
    assert frame.age_s(12.0) == pytest.approx(age)
