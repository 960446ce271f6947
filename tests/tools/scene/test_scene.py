from __future__ import annotations

from itertools import product

import numpy as np

from edge_worker.tools.scene.figures import Figure, Outfit, draw, pose
from edge_worker.tools.scene.scene import HEIGHT, WIDTH, Scene

OUTFIT = Outfit(skin=(222, 176, 146), hair=(28, 24, 24), top=(186, 40, 44), bottom=(48, 62, 98), shoes=(30, 30, 32))


def test_same_seed_draws_the_same_frame() -> None:
    """A frame is a pure function of seed and time."""
    assert np.array_equal(Scene(seed=3).at(1.4), Scene(seed=3).at(1.4))


def test_other_seed_or_moment_draws_another_frame() -> None:
    """Seed and time both matter: people move, and other seeds dress other people."""
    scene = Scene(seed=3)
    assert not np.array_equal(scene.at(1.4), scene.at(1.6))
    assert not np.array_equal(scene.at(1.4), Scene(seed=4).at(1.4))


def test_frame_is_an_image() -> None:
    """Frames are RGB uint8 of the promised size."""
    frame = Scene().at(0.0)
    assert frame.shape == (HEIGHT, WIDTH, 3)
    assert frame.dtype == np.uint8


def test_somebody_is_always_in_view() -> None:
    """At every moment of a minute some person stands on the street in full."""
    scene = Scene()
    for second in range(60):
        figures = [walker.at(second) for walker in scene.walkers]
        assert any(0.15 * figure.height < figure.feet[0] < WIDTH - 0.15 * figure.height for figure in figures), second


def test_feet_touch_the_ground_and_limbs_keep_their_length() -> None:
    """Whatever the phase of the step: the lower foot is on the ground, and bones do not stretch."""
    for phase, facing in product(np.linspace(0.0, 6.3, 22), (-1, 1)):
        joints = pose(Figure(OUTFIT, (100.0, 400.0), 300.0, float(phase), facing))
        ankles = [joints["left-ankle"][1], joints["right-ankle"][1]]
        assert abs(max(ankles) - (400.0 - 0.045 * 300.0)) < 1e-6
        assert abs(np.hypot(*np.subtract(joints["left-knee"], joints["left-thigh"])) - 0.24 * 300.0) < 1e-6


def test_figures_outside_of_the_image_are_cut_off() -> None:
    """A figure may stand anywhere: what is outside of the canvas is not painted and does no harm."""
    for x, y in product((-5000.0, -20.0, 0.0, 64.0, 5000.0), repeat=2):
        canvas = np.zeros((64, 64, 3), np.uint8)
        draw(canvas, Figure(OUTFIT, (x, y), 300.0, 0.3))
        if abs(x) > 1000 or abs(y) > 1000:
            assert not canvas.any()
