"""Label map of multi-human models: each pixel gets the class with the highest mean over its candidates."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING, NamedTuple

import cv2
import numpy as np

from edge_worker.m2fp.class_names import BACKGROUND
from edge_worker.m2fp.kernels import masks
from edge_worker.m2fp.postprocess.pixels import strips, update_best
from edge_worker.m2fp.types import Box

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from edge_worker.m2fp.parallel import Each
    from edge_worker.m2fp.postprocess.query_mask import QueryMask
    from edge_worker.m2fp.postprocess.resample import Enlargement
    from edge_worker.m2fp.types import ByteArray, FloatArray

# A candidate votes at a pixel where sigmoid × score exceeds this.
PIXEL_THRESHOLD = 0.5

# Rows of the frame labelled at a time: several tiles of the kernel, and small enough for a core's cache.
_ROWS = 64


class Vote(NamedTuple):
    """A candidate that may vote: its class, its score (above the threshold, at most 1) and its mask."""

    class_id: int
    score: float
    mask: QueryMask


def label_map(votes: Sequence[Vote], to_frame: Enlargement, each: Each) -> ByteArray:
    """Return the class with the highest mean at each pixel, uint8 H×W; background where no candidate votes."""
    height, width = to_frame.size
    labels = np.full((height, width), BACKGROUND, np.uint8)
    ordered = sorted(votes, key=lambda vote: vote.class_id)
    labeller = masks.row_labeller if masks.is_built() else plain_row_labeller
    list(each(labeller(labels, ordered, to_frame), strips(0, height, 1, _ROWS)))
    return labels


def plain_row_labeller(labels: ByteArray, votes: Sequence[Vote], to_frame: Enlargement) -> Callable[[slice], None]:
    """Return a function that labels a slice of rows in *labels*, uint8 H×W; *votes* are sorted by class."""
    return lambda rows: _label_rows(labels, rows, votes, to_frame)


def _label_rows(labels: ByteArray, rows: slice, votes: Sequence[Vote], to_frame: Enlargement) -> None:
    strip = Box(0, rows.start, labels.shape[1], rows.stop - rows.start)
    best = np.zeros((strip.height, strip.width), np.float32)
    for class_id, of_class in groupby(votes, key=lambda vote: vote.class_id):
        parts = [(vote, part) for vote in of_class if (part := vote.mask.region.box.common(strip))]
        if parts:
            box = Box.around([part for _, part in parts])
            inside = Box(box.x, box.y - strip.y, *box[2:]).slices
            update_best(labels[box.slices], best[inside], class_id, _mean(parts, box, to_frame))


def _mean(parts: Sequence[tuple[Vote, Box]], box: Box, to_frame: Enlargement) -> FloatArray:
    """Return the mean of the values above the threshold in *box*; *parts* are the votes and where each may count."""
    sums = np.zeros((box.height, box.width), np.float32)
    counts = np.zeros(sums.shape, np.uint8)
    for vote, part in parts:
        place = Box(part.x - box.x, part.y - box.y, *part[2:]).slices
        for rows, values in to_frame.strips(vote.mask.logits, part):
            _sigmoid_times_score(values, vote.score)
            sums[place][rows] += values
            counts[place][rows] += values > 0
    return np.divide(sums, np.maximum(counts, 1), out=sums) if len(parts) > 1 else sums


def _sigmoid_times_score(values: FloatArray, score: float) -> None:
    """Convert logits in place to sigmoid × *score* where that exceeds the threshold, else 0."""
    values *= np.float32(0.5)
    np.tanh(values, out=values)
    values *= np.float32(score / 2)
    values += np.float32(score / 2)
    cv2.threshold(values, PIXEL_THRESHOLD, 0, cv2.THRESH_TOZERO, dst=values)
