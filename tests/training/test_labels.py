"""Splitting skin and shoes by geometry, on drawn figures."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("torch")

from training.labels import (
    IGNORED,
    PARTS,
    SHOE,
    SKIN,
    LabelMap,
    Part,
    allowed_parts,
    leg_midline,
    mirror_table,
    name_table,
    split,
)

HEIGHT, WIDTH = 480, 240
HEAD = 60  # px: 7.5 heads from row 15 to row 465


def draw(*boxes: tuple[int, tuple[int, int, int, int]]) -> LabelMap:
    """Boxes (value, (top, bottom, left, right)) on an empty map, later ones on top."""
    canvas = np.zeros((HEIGHT, WIDTH), dtype=np.uint8)
    for value, (top, bottom, left, right) in boxes:
        canvas[top:bottom, left:right] = value
    return canvas


def figure() -> LabelMap:
    """A person who faces the camera: T-shirt, shorts, bare arms and legs, shoes apart."""
    return draw(
        (Part.HAIR, (15, 35, 100, 140)),
        (SKIN, (35, 75, 105, 135)),  # face
        (SKIN, (75, 95, 114, 126)),  # neck
        (Part.UPPER, (95, 210, 90, 150)),
        (Part.PANTS, (210, 290, 90, 150)),
        (SKIN, (110, 240, 60, 80)),
        (SKIN, (110, 240, 160, 180)),
        (SKIN, (290, 440, 92, 112)),
        (SKIN, (290, 440, 128, 148)),
        (SHOE, (440, 465, 85, 112)),
        (SHOE, (440, 465, 128, 155)),
    )


def test_sides_are_the_persons_own() -> None:
    """What is on the left of the picture is the right arm, leg and shoe of a person who faces the camera."""
    parts = split(figure())
    assert parts[170, 70] == Part.RIGHT_ARM
    assert parts[170, 170] == Part.LEFT_ARM
    assert parts[360, 100] == Part.RIGHT_LEG
    assert parts[360, 140] == Part.LEFT_LEG
    assert parts[455, 100] == Part.RIGHT_SHOE
    assert parts[455, 140] == Part.LEFT_SHOE


def test_face_ends_at_the_chin() -> None:
    """Skin above the narrowing is face, the neck below it is torso, the border between them is doubtful."""
    parts = split(figure())
    assert parts[50, 120] == Part.FACE
    assert parts[90, 120] == Part.TORSO
    assert parts[75, 120] == SKIN


def test_a_mirrored_figure_gets_mirrored_labels() -> None:
    """Splitting and mirroring commute."""
    mirrored = mirror_table()[split(figure())[:, ::-1]]
    # One column of difference: the body's axis falls between two pixels.
    assert np.mean(split(figure()[:, ::-1].copy()) != mirrored) < 0.01


def test_nothing_but_skin_and_shoes_is_changed() -> None:
    """Clothes, hair and background keep their class."""
    before, after = figure(), split(figure())
    kept = ~np.isin(before, (SKIN, SHOE))
    np.testing.assert_array_equal(before[kept], after[kept])


def test_a_person_seen_from_behind_has_no_sides() -> None:
    """Without a face, left and right could be swapped: arms, legs and shoes stay doubtful."""
    behind = figure()
    behind[35:75, 105:135] = Part.HAIR
    found = set(np.unique(split(behind)).tolist())
    assert not found & {Part.LEFT_ARM, Part.RIGHT_ARM, Part.LEFT_LEG, Part.RIGHT_LEG, Part.LEFT_SHOE, Part.RIGHT_SHOE}


def test_crossed_legs_have_no_sides() -> None:
    """Where the gap between the legs closes and opens again, nobody can tell which leg is which."""
    legs = np.zeros((100, 60), dtype=bool)
    for row in range(100):
        for start in (5 + row * 0.35, 40 - row * 0.35):
            legs[row, int(start) : int(start) + 12] = True
    assert leg_midline(legs) is None


def test_apart_legs_have_a_midline_in_the_gap() -> None:
    """The line runs through the middle of the gap in every row."""
    legs = np.zeros((60, 60), dtype=bool)
    legs[:, 10:20] = legs[:, 40:50] = True
    midline = leg_midline(legs)
    assert midline is not None
    np.testing.assert_allclose(midline, 30, atol=1)


def test_merged_arm_and_leg_are_parted_with_doubt_between() -> None:
    """A hand on bare thighs: above it an arm, below it a leg, between them skin of no part."""
    touching = figure()
    touching[240:300, 60:80] = SKIN
    touching[280:300, 60:112] = SKIN
    parts = split(touching)
    assert parts[170, 70] == Part.RIGHT_ARM
    assert parts[400, 100] == Part.RIGHT_LEG
    assert parts[260, 70] == SKIN


def test_doubtful_pixels_may_be_any_of_their_parts() -> None:
    """SKIN may be each skin part and nothing else, SHOE either shoe, IGNORED anything, a class only itself."""
    table = allowed_parts()
    assert table[SKIN].sum() == 6
    assert set(np.flatnonzero(table[SHOE]).tolist()) == {Part.LEFT_SHOE, Part.RIGHT_SHOE}
    assert table[IGNORED].all()
    np.testing.assert_array_equal(table[:PARTS], np.eye(PARTS, dtype=bool))


def test_unknown_names_are_refused() -> None:
    """A name that no class was chosen for stops the preparation."""
    with pytest.raises(KeyError, match="umbrella"):
        name_table(["null", "umbrella"])
