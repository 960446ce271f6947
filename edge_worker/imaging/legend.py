"""Text on images: a legend of the classes that occur, and small tags. Scaled with the frame, left out on tiny ones."""

from __future__ import annotations

from functools import lru_cache
from itertools import product
from typing import TYPE_CHECKING, NamedTuple

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy.typing as npt

    from edge_worker.imaging.arrays import LabelMap, RgbImage
    from edge_worker.imaging.palette import Palette

# Text size in pixels: the frame's shorter side divided by 42, but at least 10 to be legible, and at most 48.
_SIDE_PER_TEXT, _SMALLEST_TEXT, _LARGEST_TEXT = 42, 10, 48
# Largest fraction of the frame's sides and area that a legend may take; if it needs more, it is left out.
_MOST_OF_SIDE, _MOST_OF_AREA = 0.95, 0.2
# One column in a free corner looks best; among persons, a flat legend hides less.
_COLUMNS = (1, 2, 3, 5)
# Faces are in the upper half of a frame: hiding something there counts more than hiding feet.
_UPPER_WEIGHT = 2.5
# Places are tried in a fixed order, and the first one is taken where labels fill at most this fraction of the legend's
# area, so that the legend of a video stays in its place.
_HIDDEN_AT_MOST = 0.02

# Parts of a legend, in text sizes: colour swatch, space after it, row height, gap between columns, padding.
_SWATCH, _SPACE, _ROW, _GAP, _PAD = 1.1, 0.5, 1.6, 1.0, 0.7

_PANEL, _INK = (18, 20, 26, 190), (246, 246, 246, 255)


class _Entry(NamedTuple):
    name: str
    color: str


class _Place(NamedTuple):
    hidden: float
    columns: int
    x: int
    y: int


class _Tile(NamedTuple):
    """An overlay for part of an image: pixel × ``kept`` / 255 + ``added``; uint8 h×w×3."""

    kept: npt.NDArray[np.uint8]
    added: npt.NDArray[np.uint8]


def draw_legend(canvas: RgbImage, label_map: LabelMap, palette: Palette) -> None:
    """Draw a legend of the classes in *label_map* where it hides least, in place on *canvas*.

    A frame too small for a readable legend gets none.
    """
    present = _present(label_map, palette)
    entries = tuple(_Entry(_printable(palette.names[index]), palette.hex(index)) for index in present)
    size = _text_size(canvas)
    if entries and (place := _best_place(label_map, entries, size)) is not None:
        _paste(canvas, _legend(entries, place.columns, size), place.x, place.y)


def draw_tag(canvas: RgbImage, text: str, x: int, y: int) -> None:
    """Draw a small label, centred over (*x*, *y*) but moved to stay inside, in place on *canvas*."""
    tile = _tag(_printable(text), _text_size(canvas))
    height, width = tile.kept.shape[:2]
    right, bottom = canvas.shape[1] - width, canvas.shape[0] - height
    if right >= 0 and bottom >= 0:
        _paste(canvas, tile, int(np.clip(x - width // 2, 0, right)), int(np.clip(y - height, 0, bottom)))


def _present(label_map: LabelMap, palette: Palette) -> list[int]:
    """Return the classes that occur, in index order, from every second pixel of every second row."""
    found = np.flatnonzero(np.bincount(label_map[::2, ::2].ravel(), minlength=1))
    return [index for index in found.tolist() if 0 < index < len(palette)]


def _printable(text: str) -> str:
    """Replace characters that the built-in font lacks."""
    return "".join(character if " " <= character <= "~" else "?" for character in text)


def _text_size(canvas: RgbImage) -> int:
    return int(np.clip(min(canvas.shape[:2]) // _SIDE_PER_TEXT, _SMALLEST_TEXT, _LARGEST_TEXT))


def _best_place(label_map: LabelMap, entries: tuple[_Entry, ...], size: int) -> _Place | None:
    """Choose columns and corner of the legend: the first that hides almost nothing, else the best."""
    places = [
        _Place(_hidden(label_map, x, y, width, height), columns, x, y)
        for columns in _COLUMNS
        for width, height in [_legend_size(entries, columns, size)]
        if _fits(width, height, label_map)
        for x, y in _corners(label_map.shape[1] - width, label_map.shape[0] - height, margin=size // 2)
    ]
    return next((place for place in places if place.hidden <= _HIDDEN_AT_MOST), min(places, default=None))


def _fits(width: int, height: int, label_map: LabelMap) -> bool:
    rows, columns = label_map.shape
    within = width <= _MOST_OF_SIDE * columns and height <= _MOST_OF_SIDE * rows
    return within and width * height <= _MOST_OF_AREA * label_map.size


def _hidden(label_map: LabelMap, x: int, y: int, width: int, height: int) -> float:
    """Return the labelled fraction of a rectangle, weighted by position."""
    share = cv2.countNonZero(label_map[y : y + height, x : x + width]) / (width * height)
    return share * (_UPPER_WEIGHT if 2 * y + height < label_map.shape[0] else 1)


def _corners(right: int, bottom: int, margin: int) -> Iterator[tuple[int, int]]:
    """Yield upper left corners, given the space *right* and *bottom* of the frame in pixels."""
    x, y = min(margin, right // 2), min(margin, bottom // 2)
    return product((x, right - x), (y, bottom - y))


def _paste(canvas: RgbImage, tile: _Tile, x: int, y: int) -> None:
    height, width = tile.kept.shape[:2]
    under = canvas[y : y + height, x : x + width]
    under[:] = cv2.add(cv2.multiply(under, tile.kept, scale=1 / 255), tile.added)


# --- tiles; cached, since the same few occur in every frame of a camera -------------------------------------------


@lru_cache(maxsize=256)
def _legend_size(entries: tuple[_Entry, ...], columns: int, size: int) -> tuple[int, int]:
    """Return width and height of a legend, pixels."""
    rows, padding = -(-len(entries) // columns), 2 * _px(_PAD, size)
    width = columns * _cell_width(entries, size) - _px(_GAP, size) + padding
    return width, (rows - 1) * _px(_ROW, size) + _px(_SWATCH, size) + padding


def _cell_width(entries: tuple[_Entry, ...], size: int) -> int:
    longest = max(_font(size).getlength(entry.name) for entry in entries)
    return round(longest) + _px(_SWATCH + _SPACE + _GAP, size)


@lru_cache(maxsize=16)  # up to 3 MB each, on 4K frames
def _legend(entries: tuple[_Entry, ...], columns: int, size: int) -> _Tile:
    panel = _panel(*_legend_size(entries, columns, size), size)
    draw, rows, cell = ImageDraw.Draw(panel), -(-len(entries) // columns), _cell_width(entries, size)
    swatch, pad = _px(_SWATCH, size), _px(_PAD, size)
    for index, entry in enumerate(entries):
        left, top = pad + index // rows * cell, pad + index % rows * _px(_ROW, size)
        draw.rounded_rectangle((left, top, left + swatch - 1, top + swatch - 1), size // 5, entry.color)
        draw.text((left + _px(_SWATCH + _SPACE, size), top + swatch / 2), entry.name, _INK, _font(size), "lm")
    return _as_tile(panel)


@lru_cache(maxsize=128)
def _tag(text: str, size: int) -> _Tile:
    font = _font(size)
    panel = _panel(round(font.getlength(text)) + _px(0.8, size), _px(1.4, size), size)
    ImageDraw.Draw(panel).text((panel.width / 2, panel.height / 2), text, _INK, font, anchor="mm")
    return _as_tile(panel)


def _px(ems: float, size: int) -> int:
    return round(ems * size)


def _panel(width: int, height: int, size: int) -> Image.Image:
    panel = Image.new("RGBA", (width, height))
    ImageDraw.Draw(panel).rounded_rectangle((0, 0, width - 1, height - 1), radius=size // 3, fill=_PANEL)
    return panel


@lru_cache(maxsize=16)
def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)


def _as_tile(panel: Image.Image) -> _Tile:
    pixels = np.asarray(panel)
    opacity = pixels[..., 3:].repeat(3, axis=2)
    return _Tile(kept=255 - opacity, added=np.asarray(cv2.multiply(pixels[..., :3], opacity, scale=1 / 255), np.uint8))
