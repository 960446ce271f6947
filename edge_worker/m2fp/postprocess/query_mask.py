"""Query masks, upsampled to the frame where they can be positive."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np

from edge_worker.m2fp.kernels import masks
from edge_worker.m2fp.types import Region, Size

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edge_worker.m2fp.parallel import Each
    from edge_worker.m2fp.postprocess.resample import Enlargement
    from edge_worker.m2fp.types import BoolArray, Box, FloatArray

# Epsilon of the division in the mask quality.
_EPSILON = 1e-6


@dataclass(frozen=True, eq=False)
class QueryMask:
    """The mask of one query.

    Attributes:
        logits: float32 (h, w), contiguous, output of the network.
        region: region of the frame where the upsampled logits are positive.
        quality: mean sigmoid inside the mask, 0.5 to 1, or 0 if the mask is empty.
    """

    logits: FloatArray
    region: Region
    quality: float


def query_masks(logits: Sequence[FloatArray], to_frame: Enlargement, each: Each) -> list[QueryMask | None]:
    """Upsample the logits (h, w) of each query where they can be positive; None if they cannot be anywhere.

    All masks share one allocation: the kernel backs a large one with huge pages, in a third of the time.
    """
    if not logits:
        return []
    boxes = to_frame.positive_boxes(logits)
    ends = np.cumsum([box.width * box.height if box else 0 for box in boxes], dtype=np.intp)
    rooms = np.split(np.zeros(ends[-1], np.bool_), ends[:-1])

    def read(query: int) -> QueryMask | None:
        box = boxes[query]
        return _query_mask(logits[query], to_frame, box, rooms[query]) if box else None

    return list(each(read, range(len(boxes))))


def _query_mask(logits: FloatArray, to_frame: Enlargement, box: Box, room: BoolArray) -> QueryMask:
    logits = np.ascontiguousarray(logits, np.float32)
    read = masks.read_mask if masks.is_built() else read_plainly
    region, sigmoids = read(logits, to_frame, box, room.reshape(box.height, box.width))
    return QueryMask(logits, region, sigmoids / (region.pixels + _EPSILON))


def read_plainly(logits: FloatArray, to_frame: Enlargement, box: Box, mask: BoolArray) -> tuple[Region, float]:
    """Return the region of *box* where upsampled logits (h, w) are positive, and the sum of their sigmoids there.

    *mask*, of the box's size, receives the result.
    """
    excess = 0.0
    for rows, values in to_frame.strips(logits, box):
        np.greater(values, 0, out=mask[rows])
        # sigmoid(x) = (1 + tanh(x / 2)) / 2; a tanh is cheaper than exp, sum and division.
        np.tanh(np.multiply(values, 0.5, out=values), out=values)
        excess += cv2.sumElems(cv2.threshold(values, 0, 0, cv2.THRESH_TOZERO, dst=values)[1])[0]
    height, width = to_frame.size
    region = Region.from_mask(mask, Size(width, height), x=box.x, y=box.y)
    return region, (region.pixels + excess) / 2
