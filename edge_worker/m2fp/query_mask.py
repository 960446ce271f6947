"""The mask of one query, enlarged to the frame where it can be positive."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np

if TYPE_CHECKING:
    from edge_worker.m2fp.resample import Enlargement
    from edge_worker.m2fp.types import BoolArray, Box, FloatArray

# Guards the division of the mask quality.
_EPSILON = 1e-6


@dataclass(frozen=True, eq=False)
class QueryMask:
    """The enlarged mask of one query.

    Attributes:
        box: the part of the frame that can be positive.
        positive: bool box.height × box.width: the mask.
        excess: float32 box.height × box.width: tanh(logit / 2), positive where the mask is. There the sigmoid is
            (1 + excess) / 2; one tanh costs less than an exp, a sum and a division.
        quality: mean of the sigmoids of the mask, 0.5 to 1, or 0 where it is empty.
    """

    box: Box
    positive: BoolArray
    excess: FloatArray
    quality: float


def query_mask(logits: FloatArray, to_frame: Enlargement) -> QueryMask | None:
    """Enlarge the logits (h, w) of one query where they can be positive; None where they can nowhere."""
    box = to_frame.positive_box(logits)
    if box is None:
        return None
    excess = np.empty((box.height, box.width), np.float32)
    positive = np.empty(excess.shape, np.bool_)
    total, count = 0.0, 0
    for rows, values in to_frame.strips(logits * np.float32(0.5), box):
        np.greater(values, 0, out=positive[rows])
        np.tanh(values, out=excess[rows])
        total += cv2.sumElems(cv2.threshold(excess[rows], 0, 0, cv2.THRESH_TOZERO, dst=values)[1])[0]
        count += int(np.count_nonzero(positive[rows]))
    return QueryMask(box, positive, excess, (count + total) / 2 / (count + _EPSILON))
