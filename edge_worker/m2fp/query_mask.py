"""The mask of one query, enlarged to the frame where it can be positive."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np

from edge_worker.m2fp import mask_kernel
from edge_worker.m2fp.types import Region, Size

if TYPE_CHECKING:
    from edge_worker.m2fp.resample import Enlargement
    from edge_worker.m2fp.types import Box, FloatArray

# Guards the division of the mask quality.
_EPSILON = 1e-6


@dataclass(frozen=True, eq=False)
class QueryMask:
    """The mask of one query.

    Attributes:
        logits: float32 (h, w), contiguous, as the network gave them.
        region: of the frame, where they are positive once enlarged.
        quality: mean of the sigmoids of the mask, 0.5 to 1, or 0 where it is empty.
    """

    logits: FloatArray
    region: Region
    quality: float


def query_mask(logits: FloatArray, to_frame: Enlargement) -> QueryMask | None:
    """Enlarge the logits (h, w) of one query where they can be positive; None where they can nowhere."""
    box = to_frame.positive_box(logits)
    if box is None:
        return None
    logits = np.ascontiguousarray(logits, np.float32)
    read = mask_kernel.read_mask if mask_kernel.is_built() else read_plainly
    region, sigmoids = read(logits, to_frame, box)
    return QueryMask(logits, region, sigmoids / (region.pixels + _EPSILON))


def read_plainly(logits: FloatArray, to_frame: Enlargement, box: Box) -> tuple[Region, float]:
    """The part of *box* where logits (h, w) are positive once enlarged, and the sum of their sigmoids there."""
    positive = np.empty((box.height, box.width), np.bool_)
    excess = 0.0
    for rows, values in to_frame.strips(logits, box):
        np.greater(values, 0, out=positive[rows])
        # A sigmoid is (1 + tanh(x / 2)) / 2, and one tanh costs less than an exp, a sum and a division.
        np.tanh(np.multiply(values, 0.5, out=values), out=values)
        excess += cv2.sumElems(cv2.threshold(values, 0, 0, cv2.THRESH_TOZERO, dst=values)[1])[0]
    height, width = to_frame.size
    region = Region.from_mask(positive, Size(width, height), x=box.x, y=box.y)
    return region, (region.pixels + excess) / 2
