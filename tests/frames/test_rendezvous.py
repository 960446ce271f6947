"""Whose camera it is: the same for everybody, fair, and moved as little as possible."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from edge_worker.frames.rendezvous import ranking

CAMERAS = [f"camera-{number}" for number in range(3000)]
NODES = st.sets(st.text("abcdefgh-.0", min_size=1, max_size=8), min_size=1, max_size=6)


@given(NODES, st.text(max_size=20), st.randoms())
def test_every_node_comes_to_the_same_answer(nodes: set[str], camera: str, random: object) -> None:
    """In whatever order it knows the members."""
    shuffled = sorted(nodes)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert ranking(camera, shuffled) == ranking(camera, nodes)


@given(NODES, st.text("xyz", min_size=1, max_size=3))
def test_only_the_cameras_of_a_node_that_comes_or_goes_move(nodes: set[str], other: str) -> None:
    """Whoever owned a camera keeps it, unless it goes to the newcomer."""
    for camera in CAMERAS[:50]:
        before, after = ranking(camera, nodes)[0], ranking(camera, nodes | {other})[0]
        assert after in {before, other}


def test_the_cameras_are_divided_fairly() -> None:
    """Of many, each node has about as many."""
    counts = Counter(ranking(camera, ("one", "two", "three"))[0] for camera in CAMERAS)
    assert all(900 < count < 1100 for count in counts.values())
