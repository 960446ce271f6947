from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from images import CIHP, figures, photo

from edge_worker.imaging.palette import Palette
from edge_worker.imaging.render import colorize, overlay
from edge_worker.m2fp.types import Region, Size

if TYPE_CHECKING:
    from edge_worker.imaging.arrays import LabelMap
    from edge_worker.m2fp.types import BoolArray

PALETTE = Palette.for_classes(CIHP)
LABEL_MAPS = arrays(np.uint8, array_shapes(min_dims=2, max_dims=2, max_side=60), elements=st.integers(0, len(CIHP) - 1))


@dataclass(frozen=True)
class Person:
    """A figure as the renderer takes it."""

    score: float
    region: Region


def _person(mask: BoolArray) -> Person:
    return Person(0.93, Region.from_mask(mask, Size(mask.shape[1], mask.shape[0])))


@given(LABEL_MAPS)
def test_every_pixel_has_the_colour_of_its_class(label_map: LabelMap) -> None:
    """Colouring is looking up the palette, pixel by pixel, in RGB order."""
    assert (colorize(label_map, PALETTE) == PALETTE.rgb[label_map]).all()


def test_indices_without_a_class_are_black() -> None:
    """A map with more indices than the palette has colours can still be looked at."""
    assert not colorize(np.full((3, 3), 200, np.uint8), PALETTE).any()


def test_parts_are_blended_and_bordered() -> None:
    """Inside a part there is the mean of frame and colour, at its border the colour itself, outside the frame."""
    frame = photo(40, 40)
    label_map = np.zeros((40, 40), np.uint8)
    label_map[10:30, 10:30] = 5
    drawn = overlay(frame, label_map, PALETTE, alpha=0.25)
    inside = 0.75 * frame[15:25, 15:25] + 0.25 * PALETTE.rgb[5]
    assert np.abs(drawn[15:25, 15:25] - inside).max() <= 0.51
    assert (drawn[10, 10:30] == PALETTE.rgb[5]).all()
    assert (drawn[:9] == frame[:9]).all()


def test_the_frame_itself_stays_as_it_was() -> None:
    """An overlay is a new image."""
    frame, label_map = photo(400, 300), figures(400, 300)
    untouched = frame.copy()
    overlay(frame, label_map, PALETTE, [_person(label_map > 0)])
    assert (frame == untouched).all()


def test_a_frame_with_nobody_is_returned_as_it_is() -> None:
    """No labels: no colours, no legend."""
    assert (overlay(photo(400, 300), np.zeros((300, 400), np.uint8), PALETTE) == photo(400, 300)).all()


def test_persons_are_outlined_and_tagged() -> None:
    """The border of a person is white, and above it stands the score."""
    frame = np.full((400, 400, 3), 90, np.uint8)
    mask = np.zeros((400, 400), np.bool_)
    mask[100:300, 150:250] = True
    drawn = overlay(frame, np.zeros((400, 400), np.uint8), PALETTE, [_person(mask)])
    assert (drawn[200, 150] > 220).all()
    assert (drawn[200, 249] > 220).all()
    assert (drawn[200, 200] == 90).all()
    assert (drawn[80:99, 180:220] != 90).any()


def test_the_score_stands_over_the_body_not_over_a_speck_far_away() -> None:
    """A person's tag is drawn at the largest piece of the mask."""
    frame, unlabelled = np.full((200, 300, 3), 90, np.uint8), np.zeros((200, 300), np.uint8)
    mask = np.zeros((200, 300), np.bool_)
    mask[100:180, 200:260] = True
    body = overlay(frame, unlabelled, PALETTE, [_person(mask)])
    mask[2:4, 2:4] = True
    speckled = overlay(frame, unlabelled, PALETTE, [_person(mask)])
    assert (speckled[20:] == body[20:]).all()


@given(
    LABEL_MAPS,
    st.lists(st.tuples(st.integers(0, 59), st.integers(0, 59), st.integers(1, 60), st.integers(1, 60)), max_size=3),
)
def test_any_map_and_persons_can_be_drawn(label_map: LabelMap, boxes: list[tuple[int, int, int, int]]) -> None:
    """Frames of any size, and persons anywhere in them or of no pixels at all, give an image of the frame's size."""
    frame = photo(label_map.shape[1], label_map.shape[0])
    persons = []
    for x, y, width, height in boxes:
        mask = np.zeros(label_map.shape, np.bool_)
        mask[y : y + height, x : x + width] = True
        persons.append(_person(mask))
    drawn = overlay(frame, label_map, PALETTE, persons)
    assert drawn.shape == frame.shape
    assert drawn.dtype == np.uint8


@pytest.mark.parametrize("size", [(1280, 720), (550, 830), (8000, 200), (3840, 2160)])
def test_large_frames_get_everything(size: tuple[int, int]) -> None:
    """Frames of any proportion are drawn with their persons."""
    label_map = figures(*size)
    assert overlay(photo(*size), label_map, PALETTE, [_person(label_map > 0)]).shape == (size[1], size[0], 3)
