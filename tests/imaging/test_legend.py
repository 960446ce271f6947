from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from images import CIHP, figures

from edge_worker.imaging.legend import draw_legend, draw_tag
from edge_worker.imaging.palette import Palette

if TYPE_CHECKING:
    from edge_worker.imaging.arrays import LabelMap, RgbImage

PALETTE = Palette.for_classes(CIHP)
GREY = 90


def _canvas(label_map: LabelMap) -> RgbImage:
    return np.full((*label_map.shape, 3), GREY, np.uint8)


def _drawn(label_map: LabelMap, palette: Palette = PALETTE) -> tuple[RgbImage, slice, slice]:
    """Draw a legend on grey; return the image and rows and columns of the rectangle that was drawn to."""
    canvas = _canvas(label_map)
    draw_legend(canvas, label_map, palette)
    rows, columns, _ = np.nonzero(canvas != GREY)
    return canvas, slice(rows.min(), rows.max() + 1), slice(columns.min(), columns.max() + 1)


def _shows(canvas: RgbImage, color: tuple[int, ...]) -> bool:
    return bool((canvas == color).all(axis=-1).sum() > 50)


def test_present_classes_are_listed_and_no_others() -> None:
    """Each class that occurs has its swatch; those that do not, and background, have none."""
    label_map = figures(count=1)
    canvas, _, _ = _drawn(label_map)
    present = set(np.unique(label_map).tolist()) - {0}
    assert {index for index in range(1, len(CIHP)) if _shows(canvas, tuple(PALETTE.rgb[index]))} == present


@pytest.mark.parametrize(("left", "free"), [(0, "right"), (768, "left")])
def test_the_legend_goes_where_nobody_is(left: int, free: str) -> None:
    """A large person on one side of the frame is not hidden: the legend is on the other."""
    label_map = np.zeros((720, 1280), np.uint8)
    label_map[:, left : left + 512] = figures(512, 720, 1)
    label_map[:, left : left + 512][:, 50:460] |= 1
    _, rows, columns = _drawn(label_map)
    assert (columns.start > 640) == (free == "right")
    assert not label_map[rows, columns].any()


def test_in_a_crowd_the_legend_covers_feet_rather_than_faces() -> None:
    """Where every corner is taken, the lower half is the lesser evil."""
    label_map = figures(count=8)
    label_map[label_map == 0] = 5
    _, rows, _ = _drawn(label_map)
    assert rows.start > 360


def test_the_legend_stays_where_it_is_while_its_corner_is_free() -> None:
    """In a video, a person walking about elsewhere does not move it."""
    places = set()
    for step in range(0, 500, 50):
        label_map = np.zeros((720, 1280), np.uint8)
        label_map[:, 300 + step : 600 + step] = figures(300, 720, 1)
        _, rows, columns = _drawn(label_map)
        places.add((rows.start, columns.start))
    assert len(places) == 1


@given(st.integers(1, 300), st.integers(1, 300), st.integers(1, 20))
def test_a_legend_never_leaves_the_frame_and_tiny_frames_have_none(width: int, height: int, classes: int) -> None:
    """Whatever the size: either a legend that leaves four fifths of the frame free, or the frame as it was."""
    label_map = (np.arange(width * height, dtype=np.int64) % (classes + 1)).astype(np.uint8).reshape(height, width)
    canvas = _canvas(label_map)
    draw_legend(canvas, label_map, PALETTE)
    rows, columns, _ = np.nonzero(canvas != GREY)
    if rows.size:
        assert np.ptp(rows) * np.ptp(columns) <= 0.2 * width * height
        assert min(width, height) > 20


def test_text_grows_with_the_frame() -> None:
    """The legend is readable on a large frame and does not cover a small one."""
    heights = [(_drawn(figures(16 * unit, 9 * unit, 1)))[1] for unit in (40, 80, 160)]
    sizes = [rows.stop - rows.start for rows in heights]
    assert sizes == sorted(set(sizes))


def test_names_the_font_cannot_show_do_not_break_it() -> None:
    """Class names in other scripts and control characters are drawn as far as can be; endless ones not at all."""
    label_map = np.zeros((300, 400), np.uint8)
    label_map[100:200, 100:200] = 1
    _drawn(label_map, Palette.for_classes(["背景", "上衣\n\0"]))
    canvas = _canvas(label_map)
    draw_legend(canvas, label_map, Palette.for_classes(["background", "x" * 500]))
    assert (canvas == GREY).all()


@given(st.integers(-50, 250), st.integers(-50, 150))
def test_tags_stay_inside(x: int, y: int) -> None:
    """Wherever a tag is asked for, all of it is seen."""
    canvas = np.full((100, 200, 3), GREY, np.uint8)
    draw_tag(canvas, "93%", x, y)
    corner = np.full((100, 200, 3), GREY, np.uint8)
    draw_tag(corner, "93%", 100, 50)
    assert (canvas != GREY).sum() == (corner != GREY).sum() > 0
