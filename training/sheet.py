"""Contact sheets of images and the model's results."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np
import numpy.typing as npt

from edge_worker.m2fp.postprocess.persons import summarize

if TYPE_CHECKING:
    from pathlib import Path

    from edge_worker.m2fp.types import Parsing

Image = npt.NDArray[np.uint8]

_PER_KIND = 12
_EVERY = 6  # every n-th image is shown
_EVERY_FAILED = 3
_HEIGHT = 260
_ROW = 1700  # px


class Sheet:
    """Collects a few images of each kind."""

    def __init__(self) -> None:
        """Start empty."""
        self._seen: dict[str, int] = {}
        self._tiles: dict[str, list[Image]] = {}

    def add(self, kind: str, image: Image, parsing: Parsing, *, failed: bool = False) -> None:
        """Add every n-th image of a kind until there are enough, and likewise of those that *failed*."""
        self._take(kind, image, parsing, _EVERY)
        if failed:
            self._take(f"{kind} failed", image, parsing, _EVERY_FAILED)

    def _take(self, kind: str, image: Image, parsing: Parsing, every: int) -> None:
        seen = self._seen[kind] = self._seen.get(kind, -1) + 1
        tiles = self._tiles.setdefault(kind, [])
        if seen % every == 0 and len(tiles) < _PER_KIND:
            tiles.append(tile(image, parsing))

    def write(self, folder: Path) -> None:
        """Write a PNG of each kind."""
        for kind, tiles in self._tiles.items():
            if tiles:
                cv2.imwrite(str(folder / f"{kind.replace(' ', '-')}.png"), np.vstack(_rows(tiles))[..., ::-1])


def tile(image: Image, parsing: Parsing) -> Image:
    """Return image, label map and outlines of the persons with their scores side by side, RGB."""
    coloured = (0.35 * image + 0.65 * _palette()[parsing.label_map]).astype(np.uint8)
    for person in summarize(parsing).persons:
        outlines, _ = cv2.findContours(person.region.mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
        colour = (255, 255, 255) if person.score > 0.5 else (255, 90, 90)
        cv2.drawContours(coloured, outlines, -1, colour, max(1, image.shape[0] // 250))
        place = (person.region.box.x, max(14, person.region.box.y - 4))
        cv2.putText(coloured, f"{person.score:.2f}", place, cv2.FONT_HERSHEY_SIMPLEX, image.shape[0] / 900, colour, 2)
    both = np.hstack([image, coloured])
    size = (round(both.shape[1] * _HEIGHT / both.shape[0]), _HEIGHT)
    return np.asarray(cv2.resize(both, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)


def _palette() -> Image:
    colours = np.random.default_rng(2).integers(60, 256, (256, 3)).astype(np.uint8)
    colours[0] = 0
    return colours


def _rows(tiles: list[Image]) -> list[Image]:
    """Arrange tiles in rows of the same width, padded with black."""
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
