"""A node that joins overtakes none of the frames that it never got."""

from __future__ import annotations

import pytest

from edge_worker.service.joining import Joining

PLACE = ("split", "g")
OTHERS = frozenset({"b", "c"})


@pytest.fixture
def joining() -> Joining:
    """A node whose link ``split`` began anew, and that waits for b and c since 100 seconds."""
    joining = Joining(limit_s=600.0)
    joining.began("split")
    joining.announced("split")
    joining.joined(PLACE, OTHERS, 100.0)
    return joining


def test_a_node_is_outside_until_its_status_is_among_the_frames() -> None:
    """From there on the others leave its frames to it."""
    joining = Joining(limit_s=600.0)
    assert not joining.is_outside("split")
    joining.began("split")
    assert joining.is_outside("split")
    joining.announced("split")
    assert not joining.is_outside("split")


def test_what_waits_in_a_session_that_was_left_is_of_the_past() -> None:
    """Until something is heard that is said to this run; a connection that is lost and back is no other run."""
    joining = Joining(limit_s=600.0)
    joining.resumed("split")
    assert joining.is_in_past("split")
    joining.reached_present("split")
    joining.resumed("split")
    assert not joining.is_in_past("split")
    joining.began("split-5")
    joining.resumed("split-5")
    assert not joining.is_in_past("split-5")


def test_it_waits_for_the_word_of_each(joining: Joining) -> None:
    """In whatever order they say it, and once only."""
    joining.caught_up("b")
    assert joining.awaited(PLACE, 101.0) == {"c"}
    joining.caught_up("c")
    assert joining.awaited(PLACE, 101.0) == set()
    joining.joined(PLACE, OTHERS | {"d"}, 102.0)
    assert joining.awaited(PLACE, 103.0) == set()


def test_it_waits_for_nobody_for_ever(joining: Joining) -> None:
    """Whoever does not know how to say it."""
    assert joining.awaited(PLACE, 699.0) == OTHERS
    assert joining.awaited(PLACE, 700.0) == set()


def test_a_session_that_has_a_past_waits_for_nobody() -> None:
    """It has all frames that the others have."""
    joining = Joining(limit_s=600.0)
    joining.announced("split")
    joining.joined(PLACE, OTHERS, 100.0)
    assert joining.awaited(PLACE, 100.0) == set()


def test_a_link_that_begins_anew_waits_again(joining: Joining) -> None:
    """What the others said was about another time."""
    for node in OTHERS:
        joining.caught_up(node)
    joining.began("split")
    assert joining.awaited(PLACE, 200.0) == set()
    joining.announced("split")
    joining.joined(PLACE, frozenset({"b"}), 200.0)
    assert joining.awaited(PLACE, 200.0) == {"b"}


def test_a_link_that_begins_anew_holds_up_no_other(joining: Joining) -> None:
    """Who is to catch up may wait for the frames of that other link."""
    for node in OTHERS:
        joining.caught_up(node)
    joining.began("split-5")
    assert joining.awaited(PLACE, 200.0) == set()
