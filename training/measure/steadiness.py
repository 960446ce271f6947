"""Temporal stability of a person's parts.

Dense optical flow (DIS, Kroeger et al., arXiv 1603.03590) maps each pixel of a frame to the next one, whose label map
is read there. Of the pixels that belong to a person in both frames, those count as changed whose part differs and that
are more than two pixels from a border between parts in both maps: nearer to a border, the flow's error of half a pixel
decides.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from collections.abc import Sequence

Image = npt.NDArray[np.uint8]

LEAST_PERSON = 0.01  # of the frame: minimum pixels of persons in both frames for a measurement
_BORDER = 2  # px


def changed_share(images: Sequence[Image], maps: Sequence[Image]) -> float | None:
    """Return the share for two neighbouring frames (RGB uint8) and their label maps; None without a person in both."""
    before, after = (cv2.cvtColor(image, cv2.COLOR_RGB2GRAY) for image in images)
    start = np.zeros((*before.shape, 2), dtype=np.float32)
    method = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    flow = np.asarray(method.calc(before, after, start), dtype=np.float32)
    moved, inner = (_follow(layer, flow) for layer in (maps[1], away_from_borders(maps[1])))
    somebody = (maps[0] > 0) & (moved > 0)
    if np.count_nonzero(somebody) < LEAST_PERSON * somebody.size:
        return None
    changed = somebody & (moved != maps[0]) & (inner > 0) & (away_from_borders(maps[0]) > 0)
    return float(np.count_nonzero(changed) / np.count_nonzero(somebody))


def _follow(layer: Image, flow: npt.NDArray[np.float32]) -> Image:
    """Warp a layer of the second frame to the first."""
    rows, columns = np.indices(layer.shape, dtype=np.float32)
    moved = cv2.remap(layer, columns + flow[..., 0], rows + flow[..., 1], cv2.INTER_NEAREST)
    return np.asarray(moved, dtype=np.uint8)


def away_from_borders(label_map: Image) -> Image:
    """Return 1 where all pixels within the border's width have the same label, else 0."""
    kernel = np.ones((2 * _BORDER + 1,) * 2, np.uint8)
    return np.asarray(cv2.dilate(label_map, kernel) == cv2.erode(label_map, kernel), dtype=np.uint8)
