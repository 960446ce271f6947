"""Names that anybody may invent, as identifiers and inside templates."""

from __future__ import annotations

import json
import re
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_worker.integrations.home_assistant.names import camera_id, component_id, node_id, quoted

IDENTIFIER = re.compile(r"[a-zA-Z0-9_-]+")


@given(st.text(min_size=1))
def test_every_name_makes_an_identifier(name: str) -> None:
    """Home Assistant drops a message whose topic has any other character, or is too long for a database."""
    for identifier in (camera_id("box", name), component_id("part", name), node_id("a.b-c")):
        assert IDENTIFIER.fullmatch(identifier)
        assert len(identifier) < 100


@pytest.mark.parametrize("make", [lambda name: camera_id("box", name), lambda name: component_id("part", name)])
def test_names_that_look_alike_stay_apart(make: object) -> None:
    """What a slug makes equal, the hash tells apart; also a name that looks like another's slug."""
    assert callable(make)
    names = ("a b", "a_b", "a/b", "a  b", "ä b", "x" * 80, "x" * 81, "", "{{", "}}")
    assert all(make(one) != make(other) for one, other in combinations(names, 2))


def test_the_same_camera_at_two_workers_is_two_devices() -> None:
    """Workers divide or share cameras, and each shows its own results."""
    assert camera_id("box", "door") != camera_id("box-2", "door")
    assert node_id("a.b") != node_id("a_b")


@given(st.text())
def test_a_quoted_name_is_no_template(name: str) -> None:
    """It is read back as it was, and opens nothing that Jinja would carry out."""
    assert json.loads(quoted(name)) == name
    assert not set("{}") & set(quoted(name))
