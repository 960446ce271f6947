"""A contact sheet: pictures beside what the model sees in them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from pathlib import Path

    from edge_worker.m2fp.types import Parsing

Image = npt.NDArray[np.uint8]

_PER_KIND = 8
_EVERY = 6  # pictures between two that are shown
_HEIGHT = 260
_ROW = 1700  # px


class Sheet:
    """Collects a few pictures of each kind."""

    def __init__(self) -> None:
        """Start empty."""
        self._seen: dict[str, int] = {}
        self._tiles: dict[str, list[Image]] = {}

    def add(self, kind: str, image: Image, parsing: Parsing) -> None:
        """Take every few pictures of a kind until there are enough."""
        seen = self._seen[kind] = self._seen.get(kind, -1) + 1
        tiles = self._tiles.setdefault(kind, [])
        if seen % _EVERY == 0 and len(tiles) < _PER_KIND:
            tiles.append(tile(image, parsing))

    def write(self, path: Path) -> None:
        """All kinds below each other, as a PNG."""
        rows = [row for tiles in self._tiles.values() for row in _rows(tiles)]
        if rows:
            cv2.imwrite(str(path), np.vstack(rows)[..., ::-1])


def tile(image: Image, parsing: Parsing) -> Image:
    """Picture, label map and outlines of the persons with their scores, side by side, RGB."""
    coloured = (0.35 * image + 0.65 * _palette()[parsing.label_map]).astype(np.uint8)
    for person in parsing.persons:
        outlines, _ = cv2.findContours(person.mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
        colour = (255, 255, 255) if person.score > 0.5 else (255, 90, 90)
        cv2.drawContours(coloured, outlines, -1, colour, max(1, image.shape[0] // 250))
        place = (person.box.x, max(14, person.box.y - 4))
        cv2.putText(coloured, f"{person.score:.2f}", place, cv2.FONT_HERSHEY_SIMPLEX, image.shape[0] / 900, colour, 2)
    both = np.hstack([image, coloured])
    size = (round(both.shape[1] * _HEIGHT / both.shape[0]), _HEIGHT)
    return np.asarray(cv2.resize(both, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)


def _palette() -> Image:
    colours = np.random.default_rng(2).integers(60, 256, (256, 3)).astype(np.uint8)
    colours[0] = 0
    return colours


def _rows(tiles: list[Image]) -> list[Image]:
    """Tiles in rows of one width, the rest black."""
    rows: list[Image] = []
    row: list[Image] = []
    used = 0
    for one in tiles:
        if used + one.shape[1] > _ROW and row:
            rows.append(_filled(row))
            row, used = [], 0
        row.append(one)
        used += one.shape[1]
    return [*rows, _filled(row)] if row else rows


def _filled(row: list[Image]) -> Image:
    joined = np.hstack(row)[:, :_ROW]
    return np.pad(joined, ((0, 0), (0, _ROW - joined.shape[1]), (0, 0)))
