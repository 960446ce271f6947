"""The label map of multi-human models, as it grows candidate by candidate."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import cv2
import numpy as np

from edge_worker.m2fp.labels import BACKGROUND
from edge_worker.m2fp.pixels import strips, take_better
from edge_worker.m2fp.types import Box, ByteArray, FloatArray, Size

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edge_worker.m2fp.each import Each
    from edge_worker.m2fp.query_mask import QueryMask

# A candidate counts at a pixel where sigmoid × score exceeds this.
PIXEL_THRESHOLD = 0.5


class Vote(NamedTuple):
    """A candidate that may count: its class, its score (at most 1) and its mask."""

    class_id: int
    score: float
    mask: QueryMask


class SemanticMap:
    """Per class, the mean of the candidates that exceed the threshold at a pixel; the highest mean names the pixel."""

    def __init__(self, frame: Size) -> None:
        """Start empty."""
        self._frame = frame
        self._classes: dict[int, _ClassMean] = {}

    def add(self, votes: Sequence[Vote], each: Each) -> None:
        """Let *votes* count where sigmoid × score exceeds the threshold."""
        by_class: dict[int, list[Vote]] = {}
        for vote in votes:
            by_class.setdefault(vote.class_id, []).append(vote)
        for class_id in by_class.keys() - self._classes.keys():
            self._classes[class_id] = _ClassMean(self._frame)
        list(each(lambda class_id: self._classes[class_id].add(by_class[class_id]), by_class))

    def label_map(self, each: Each) -> ByteArray:
        """The class of the highest mean at each pixel, uint8 H×W; background where no candidate counts."""
        labels = np.full((self._frame.height, self._frame.width), BACKGROUND, np.uint8)
        list(each(lambda rows: self._label(labels, rows), strips(0, self._frame.height, self._frame.width)))
        return labels

    def _label(self, labels: ByteArray, rows: slice) -> None:
        best = np.zeros(labels[rows].shape, np.float32)
        for class_id in sorted(self._classes):
            columns, value = self._classes[class_id].mean(rows)
            take_better(labels[rows, columns], best[:, columns], class_id, value)


class _ClassMean:
    """Sum and number of the values of one class at each pixel of the frame, and where there are any.

    The arrays are of the whole frame, but pages that are never written take no memory.
    """

    def __init__(self, frame: Size) -> None:
        self._sums = np.zeros((frame.height, frame.width), np.float32)
        self._counts = np.zeros((frame.height, frame.width), np.uint8)
        self._boxes: list[Box] = []

    def add(self, votes: Sequence[Vote]) -> None:
        for vote in votes:
            self._add(vote.score, vote.mask)
            self._boxes.append(vote.mask.box)

    def _add(self, score: float, mask: QueryMask) -> None:
        """Add sigmoid × *score* = (1 + excess) / 2 × *score* where it exceeds the threshold."""
        rows, columns = mask.box.slices
        for strip in strips(rows.start, rows.stop, mask.box.width):
            excess = mask.excess[strip.start - rows.start : strip.stop - rows.start]
            values = excess * np.float32(score / 2)
            values += np.float32(score / 2)
            cv2.threshold(values, PIXEL_THRESHOLD, 0, cv2.THRESH_TOZERO, dst=values)
            self._sums[strip, columns] += values
            self._counts[strip, columns] += values > 0

    def mean(self, rows: slice) -> tuple[slice, FloatArray]:
        """In some *rows* of the frame: the columns where there may be values, and the mean there."""
        columns = Box.around(self._boxes).slices[1]
        sums = self._sums[rows, columns]
        if len(self._boxes) == 1:
            return columns, sums
        return columns, np.divide(sums, np.maximum(self._counts[rows, columns], 1), dtype=np.float32)
