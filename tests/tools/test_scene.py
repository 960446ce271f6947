from __future__ import annotations

import numpy as np

from edge_worker import load_parser
from edge_worker.tools.scene import FRAMES_PER_S, SECONDS, scene_at


def test_frame_is_an_image() -> None:
    """Frames are RGB uint8 of the promised size, the same at the same moment, and others later: people move."""
    frame = scene_at(1.4)
    assert frame.shape == (540, 960, 3)
    assert frame.dtype == np.uint8
    assert np.array_equal(frame, scene_at(1.4))
    assert not np.array_equal(frame, scene_at(1.6))


def test_every_picture_is_shown_once_in_a_loop() -> None:
    """At its own rate no picture is left out or shown twice, whatever the rounding; then it begins again."""
    count = round(SECONDS * FRAMES_PER_S)
    frames = {scene_at(number / FRAMES_PER_S).tobytes() for number in range(count)}
    assert len(frames) == count
    assert np.array_equal(scene_at(0.4), scene_at(0.4 + SECONDS))


def test_somebody_is_always_found() -> None:
    """The shipped model finds at least two persons at any moment: a demo that shows nobody says nothing."""
    with load_parser("builtin:m2fp-lite") as parser:
        for second in range(int(SECONDS)):
            persons = parser.parse(scene_at(second)).persons
            assert sum(person.score >= 0.5 for person in persons) >= 2, second
