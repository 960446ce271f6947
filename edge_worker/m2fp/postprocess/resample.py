"""Upsampling of mask logits to the frame as one linear operator per axis.

The published pipeline resizes mask logits bilinearly to the padded input, crops the padding, and resizes bilinearly to
the frame (both align_corners False). Both steps are linear and separable and combine to one banded matrix per axis
with at most three taps per row: ``enlarged = rows @ logits @ columns.T``. A part of the frame needs only a part of each
matrix.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from edge_worker.m2fp.preprocess import Geometry
from edge_worker.m2fp.types import Box, FloatArray, Size

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from edge_worker.m2fp.types import BoolArray

# Number of cached operators; one per frame size in use.
_GEOMETRIES = 16

# Maximum number of logits that a pixel depends on: it averages two neighbours in the padded input, which average two
# neighbouring logits each and share at least one of them, since the first resize upsamples.
TAPS = 3

# Pixels that the compiled kernel upsamples at a time.
BLOCK = 16

# Multiplications up to which OpenBLAS runs a matrix product in one thread. Its threads spin while waiting: on a busy
# machine small products take ten times as long with threads.
_SMALL_PRODUCT = 1 << 18
_LONGEST_STRIP = 64


@dataclass(frozen=True, eq=False)
class Axis:
    """The operator along one axis.

    Attributes:
        weights: float32 (low, out + BLOCK), contiguous: weight of each logit for each pixel, padded with zeros.
        first, last: int32, first and last logit that each pixel depends on, at most TAPS; both non-decreasing.
    """

    weights: FloatArray
    first: NDArray[np.int32]
    last: NDArray[np.int32]

    @classmethod
    def from_matrix(cls, matrix: NDArray[np.float64]) -> Axis:
        """Extract the band of *matrix* (out, low)."""
        weights = np.pad(matrix.T.astype(np.float32), ((0, 0), (0, BLOCK)))
        positive = weights[:, :-BLOCK] > 0
        first, last = positive.argmax(axis=0), len(weights) - 1 - positive[::-1].argmax(axis=0)
        assert (last - first < TAPS).all()  # noqa: S101 - masks are no finer than the network's input
        return cls(np.ascontiguousarray(weights), first.astype(np.int32), last.astype(np.int32))

    @property
    def matrix(self) -> FloatArray:
        """The weights as a matrix (out, low)."""
        return self.weights[:, :-BLOCK].T

    def positive_reach(self, positive: BoolArray) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Return begin and end (exclusive) of the pixels that depend on any of the *positive* logits, bool (n, low).

        Where there are none, the end is not beyond the beginning.
        """
        low, none = positive.argmax(axis=1), ~positive.any(axis=1)
        high = positive.shape[1] - 1 - positive[:, ::-1].argmax(axis=1)
        begin, end = np.searchsorted(self.last, low, "left"), np.searchsorted(self.first, high, "right")
        end[none] = 0
        return begin, end

    def support(self, pixels: slice) -> slice:
        """Return the logits that *pixels* (not empty) depend on."""
        return slice(int(self.first[pixels.start]), int(self.last[pixels.stop - 1]) + 1)

    def strips(self, pixels: slice, width: int) -> Iterator[tuple[slice, slice]]:
        """Split *pixels* of *width* values each into strips that are multiplied at a time.

        Yields the pixels of a strip and the logits they depend on, so that only the band is multiplied.
        """
        step = self._step(width)
        for start in range(pixels.start, pixels.stop, step):
            strip = slice(start, min(start + step, pixels.stop))
            yield strip, self.support(strip)

    def _step(self, width: int) -> int:
        """Return the largest step whose product, step · (step · low / pixels + taps) · width, stays in the limit."""
        pixels, low = self.matrix.shape
        ratio, limit = low / pixels, _SMALL_PRODUCT / width
        step = (math.sqrt(TAPS**2 + 4 * ratio * limit) - TAPS) / (2 * ratio)
        return min(max(1, int(step)), _LONGEST_STRIP)


@dataclass(frozen=True, eq=False)
class Enlargement:
    """Operator from mask logits (h, w) to the frame."""

    rows: Axis
    columns: Axis

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the output."""
        return len(self.rows.matrix), len(self.columns.matrix)

    def positive_boxes(self, logits: Sequence[FloatArray]) -> list[Box | None]:
        """Return where upsampled logits (h, w) of each can be positive: a mean is so only near a positive value."""
        positive = np.stack([one > 0 for one in logits])
        top, down = self.rows.positive_reach(np.asarray(positive.any(axis=2)))
        left, across = self.columns.positive_reach(np.asarray(positive.any(axis=1)))
        boxes = np.stack((left, top, across - left, down - top), axis=1)
        return [Box(*box) if min(box[2:]) > 0 else None for box in boxes.tolist()]

    def strips(self, logits: FloatArray, box: Box) -> Iterator[tuple[slice, FloatArray]]:
        """Upsample logits (h, w) inside *box* of the frame in strips of rows that fit the cache.

        Yields the rows, relative to the top of the box, and their values, float32 rows × box.width.
        """
        down, across = box.slices
        wide = self.widen(logits, down, across)
        top = self.rows.support(down).start
        for strip, low in self.rows.strips(down, box.width):
            rows = slice(strip.start - box.y, strip.stop - box.y)
            yield rows, self.rows.matrix[strip, low] @ wide[low.start - top : low.stop - top]

    def widen(self, logits: FloatArray, down: slice, across: slice) -> FloatArray:
        """Upsample logits (h, w) horizontally: columns *across* of the rows that *down* depends on, rows × columns."""
        logits = logits[self.rows.support(down)]
        wide = np.empty((len(logits), across.stop - across.start), np.float32)
        for strip, low in self.columns.strips(across, len(logits)):
            columns = slice(strip.start - across.start, strip.stop - across.start)
            np.matmul(logits[:, low], self.columns.matrix[strip, low].T, out=wide[:, columns])
        return wide


@lru_cache(maxsize=_GEOMETRIES)
def enlargement(low: Size, geometry: Geometry) -> Enlargement:
    """Return the operator from mask logits of size *low* to the frame of *geometry*."""
    frame, padded, window = geometry.frame, geometry.padded, geometry.window
    return Enlargement(
        Axis.from_matrix(_axis(low.height, padded.height, window.y, window.height, frame.height)),
        Axis.from_matrix(_axis(low.width, padded.width, window.x, window.width, frame.width)),
    )


def padded_window(low: Size, geometry: Geometry) -> Enlargement:
    """Return the operator from mask logits of size *low* to the window of the padded input covered by the frame."""
    window = geometry.window
    return enlargement(low, Geometry(Size(window.width, window.height), geometry.padded, window))


def _axis(low: int, padded: int, start: int, length: int, frame: int) -> NDArray[np.float64]:
    """Return the matrix (frame, low): resize *low* to *padded*, crop *length* from *start*, resize to *frame*."""
    enlarged = _mix(np.eye(low), padded)[start : start + length]
    return _mix(enlarged, frame)


def _mix(rows: NDArray[np.float64], count: int) -> NDArray[np.float64]:
    """Resize the *rows* (n, m) bilinearly (align_corners False) to (*count*, m)."""
    position = np.maximum((np.arange(count) + 0.5) * (len(rows) / count) - 0.5, 0.0)
    before = position.astype(np.intp)
    after = np.minimum(before + 1, len(rows) - 1)
    weight = (position - before)[:, None]
    return np.asarray(rows[before] * (1 - weight) + rows[after] * weight)
