"""A contact sheet: frame, label map and overlay of some frames side by side."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

import cv2
import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edge_worker.imaging.arrays import RgbImage

# Pixels: width of a column, gap between images, and maximum height of an image.
COLUMN, GAP, TALLEST = 480, 6, 480


Row: TypeAlias = tuple[bytes, bytes, bytes]
"""The encoded images of one frame: frame, label map, overlay."""


def contact_sheet(rows: Sequence[Row]) -> bytes:
    """Stack *rows*, at least one, vertically; returns a PNG."""
    bands = [_band(row) for row in rows]
    gap = np.zeros((GAP, bands[0].shape[1], 3), np.uint8)
    sheet = np.vstack([part for band in bands for part in (band, gap)][:-1])
    return cv2.imencode(".png", sheet)[1].tobytes()


def _band(encoded: Sequence[bytes]) -> RgbImage:
    """Scale images of the same size to columns side by side; BGR."""
    images = [np.asarray(cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)) for content in encoded]
    height, width = images[-1].shape[:2]
    scale = min(COLUMN / width, TALLEST / height)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    tall = np.full((size[1], COLUMN * len(images) + GAP * (len(images) - 1), 3), 0, np.uint8)
    for index, image in enumerate(images):
        left = index * (COLUMN + GAP) + (COLUMN - size[0]) // 2
        tall[:, left : left + size[0]] = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    return tall
