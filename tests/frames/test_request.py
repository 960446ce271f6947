"""What a request may ask for, and when nobody waits for it any more."""

from __future__ import annotations

import pytest
from samples import SimplePolicy, make_frame

from edge_worker.frames.request import Request, may_reply_to, wishes
from edge_worker.frames.scheduler import Scheduler


@pytest.mark.parametrize(
    ("topic", "prefix", "allowed"),
    [
        ("replies/me", "replies/", True),
        ("parsing/door/labels", "replies/", False),
        ("replies/+", "replies/", False),
        ("replies/me", None, False),
        ("", "replies/", False),
    ],
)
def test_replies_go_only_under_the_prefix(topic: str, prefix: str | None, *, allowed: bool) -> None:
    """A worker does not publish wherever a stranger tells it to."""
    assert may_reply_to(topic, prefix) is allowed


def test_what_cannot_be_read_of_a_request_is_not_asked_for() -> None:
    """Properties are the sender's: NaN, text and numbers out of range are no thresholds."""
    assert wishes({}) == (None, None, None)
    asked = {"outputs": "colormap,overlay", "masks": "rle", "score-threshold": "0.25"}
    assert wishes(asked) == (frozenset({"colormap", "overlay"}), True, 0.25)
    for text in ("nan", "-1", "1.5", "many", ""):
        assert wishes({"score-threshold": text})[2] is None


def test_an_abandoned_request_costs_no_inference() -> None:
    """It is dropped as too old when its turn comes, and the next one is served."""
    scheduler = Scheduler([SimplePolicy(delivery="every")])
    abandoned = make_frame(frame_id="a", request=Request("replies/a", expires=5.0))
    wanted = make_frame(frame_id="b", request=Request("replies/b", expires=60.0))
    for frame in (abandoned, wanted):
        scheduler.offer(frame, 0.0)
    turn = scheduler.next(6.0)
    assert turn.frame is wanted
    assert [(drop.frame, drop.reason) for drop in turn.dropped] == [(abandoned, "too_old")]
