"""Templates, filters, and what may stand in a topic."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st
from paho.mqtt.client import topic_matches_sub

from edge_worker.common.topics import MAX_LEVEL, Template, clean_level, clean_text, is_publishable, overlaps

LEVELS = ("a", "b", "", "$SYS")
FILTERS = [
    "/".join(levels) + tail
    for length in (1, 2, 3)
    for levels in itertools.product((*LEVELS, "+"), repeat=length)
    for tail in ("", "/#")
] + ["#"]
TOPICS = ["/".join(levels) for length in (1, 2, 3, 4) for levels in itertools.product(LEVELS, repeat=length)]


def test_a_template_is_filter_matcher_and_formatter() -> None:
    """One line of configuration says what to subscribe to, whose a topic is, and where to publish."""
    template = Template("site/{node}/cameras/{camera}/frame", node="box")
    assert template.filter == "site/box/cameras/+/frame"
    assert template.match("site/box/cameras/door/frame") == "door"
    assert template.format(camera="door") == "site/box/cameras/door/frame"


@pytest.mark.parametrize(
    "topic", ["cameras/door", "cameras/door/frame/x", "other/door/frame", "cameras/door/frame/", ""]
)
def test_topics_of_another_shape_do_not_match(topic: str) -> None:
    """A placeholder stands for exactly one level."""
    assert Template("cameras/{camera}/frame").match(topic) is None


def test_a_template_without_placeholder_matches_itself() -> None:
    """The topics of the node are templates too."""
    template = Template("edge-worker/{node}/status", node="box")
    assert (template.match("edge-worker/box/status"), template.match("edge-worker/other/status")) == ("", None)
    assert template.format() == "edge-worker/box/status"


@pytest.mark.parametrize(
    "text", ["a/+/{camera}", "a/#", "{camera}/{camera}", "{camera}/{command}", "x{camera}", "{other}"]
)
def test_what_is_no_template_is_refused(text: str) -> None:
    """Wildcards, two placeholders, half a level: none has one meaning."""
    with pytest.raises(ValueError, match="may hold"):
        Template(text)


@given(st.text(st.characters(), max_size=300))
def test_any_level_makes_a_publishable_topic(level: str) -> None:
    """Whatever a sender put into its camera's name, the answer's topic is legal, and stays one level."""
    name = clean_level(level)
    topic = Template("parsing/{camera}/error").format(camera=name)
    assert is_publishable(topic)
    assert topic.count("/") == 2
    assert len(name) <= MAX_LEVEL


def test_a_camera_that_is_the_first_level_makes_no_reserved_topic() -> None:
    """Brokers refuse to publish below $SYS or $share: such a frame could never be answered."""
    for level in ("$SYS", "$share", "$"):
        name = Template("cameras/{camera}/frame").match(f"cameras/{level}/frame")
        assert name is not None
        assert not Template("{camera}/labels").format(camera=name).startswith("$")
    assert clean_level("US$") == "US$"


@given(st.text(max_size=200), st.text(max_size=200))
def test_no_two_names_become_one(first: str, second: str) -> None:
    """Cleaning keeps names apart, so that no camera answers in another's topic."""
    assert (clean_level(first) == clean_level(second)) == (first == second)


@pytest.mark.parametrize("level", ["", "$SYS", "a/b", "a" * 200, "~e3b0c442"])
def test_nobody_can_take_the_name_that_another_was_given(level: str) -> None:
    """A changed name can be published to as it stands, and is another camera's then."""
    assert clean_level(clean_level(level)) != clean_level(level)


def test_good_names_stay_as_they_are() -> None:
    """Spaces, dots and other scripts are nobody's business."""
    for name in ("door", "front door", "..", "Tür", "カメラ", "a" * MAX_LEVEL, "a~b", "hall~12345678x"):
        assert clean_level(name) == name


@given(st.text(st.characters(), max_size=100), st.integers(0, 50))
def test_clean_text_is_a_string_that_every_broker_takes(text: str, limit: int) -> None:
    """Properties carry senders' words; a control character in one would make the broker close the connection."""
    clean = clean_text(text, limit)
    assert len(clean.encode()) <= limit
    assert not any(ord(c) < 32 or 0x7F <= ord(c) < 0xA0 for c in clean)


@pytest.mark.parametrize("topic", ["", "a/+", "#", "a\0b", "a\nb", "a" * 65_536, "\ud800"])
def test_what_cannot_be_published_to_is_known(topic: str) -> None:
    """The broker would end the connection over it."""
    assert not is_publishable(topic)


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        ("cameras/+/frame", "cameras/door/frame", True),
        ("cameras/+/frame", "cameras/+/other", False),
        ("cameras/#", "cameras", True),
        ("a/b", "a/b/c", False),
        ("#", "$SYS/broker", False),
        ("+/x", "#", True),
    ],
)
def test_overlapping_filters(first: str, second: str, *, expected: bool) -> None:
    """MQTT 5 brokers deliver a message once per matching filter."""
    assert overlaps(first, second) is expected
    assert overlaps(second, first) is expected


def test_overlap_means_that_some_topic_matches_both() -> None:
    """Checked against an independent matcher over every short filter and topic."""
    matches = {f: {topic for topic in TOPICS if topic_matches_sub(f, topic)} for f in FILTERS}
    for first, second in itertools.combinations(FILTERS, 2):
        assert overlaps(first, second) == bool(matches[first] & matches[second]), (first, second)
