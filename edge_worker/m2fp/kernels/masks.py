"""Wrapper of the compiled mask kernel; without it NumPy computes the same.

``masks.c`` upsamples and evaluates masks in one pass, tile by tile, and skips empty tiles. It releases the GIL, so
threads run in parallel.
"""

from __future__ import annotations

import ctypes
import math
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from edge_worker.m2fp.kernels.arrays import address_of
from edge_worker.m2fp.kernels.loader import load_kernel
from edge_worker.m2fp.types import Box, Region, Size

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from edge_worker.m2fp.postprocess.resample import Axis, Enlargement
    from edge_worker.m2fp.postprocess.semantic_map import Vote
    from edge_worker.m2fp.types import BoolArray, ByteArray, FloatArray


class _Axis(ctypes.Structure):
    _fields_ = (
        *((name, ctypes.c_void_p) for name in ("first", "last", "weights")),
        *((name, ctypes.c_int32) for name in ("pixels", "low", "stride")),
    )

    @classmethod
    def of(cls, axis: Axis) -> _Axis:
        pixels, (low, stride) = len(axis.first), axis.weights.shape
        return cls(
            address_of(axis.first, "first", np.int32, (pixels,)),
            address_of(axis.last, "last", np.int32, (pixels,)),
            address_of(axis.weights, "weights", np.float32, (low, stride)),
            *(pixels, low, stride),
        )


class _Enlargement(ctypes.Structure):
    _fields_ = (("rows", _Axis), ("columns", _Axis))

    @classmethod
    def of(cls, to_frame: Enlargement) -> _Enlargement:
        return cls(_Axis.of(to_frame.rows), _Axis.of(to_frame.columns))


@lru_cache(maxsize=16)  # as many as enlargements are cached; making one takes longer than reading a small mask
def _operator(to_frame: Enlargement) -> _Enlargement:
    return _Enlargement.of(to_frame)


class _Box(ctypes.Structure):
    _fields_ = tuple((name, ctypes.c_int32) for name in ("left", "top", "right", "bottom"))

    @classmethod
    def of(cls, box: Box) -> _Box:
        return cls(box.x, box.y, box.x + box.width, box.y + box.height)

    def box(self) -> Box:
        return Box(self.left, self.top, self.right - self.left, self.bottom - self.top)


class _Reading(ctypes.Structure):
    _fields_ = (("sigmoids", ctypes.c_double), ("pixels", ctypes.c_int64), ("box", _Box))


class _Vote(ctypes.Structure):
    _fields_ = (
        ("logits", ctypes.c_void_p),
        ("box", _Box),
        *((name, ctypes.c_float) for name in ("score", "threshold")),
        ("class_id", ctypes.c_int32),
    )

    @classmethod
    def of(cls, vote: Vote, to_frame: Enlargement) -> _Vote:
        """Compute the logit threshold: sigmoid × score exceeds 0.5 where the logit exceeds log(0.5 / (score - 0.5))."""
        threshold = math.log(0.5 / (vote.score - 0.5))
        mask = vote.mask
        return cls(_logits(mask.logits, to_frame), _Box.of(mask.region.box), vote.score, threshold, vote.class_id)


@lru_cache(maxsize=1)
def _library() -> Any:  # noqa: ANN401 - ctypes makes functions of any name
    library = load_kernel("masks")
    if library is not None:
        operator = ctypes.POINTER(_Enlargement)
        mask, reading = ctypes.c_void_p, ctypes.POINTER(_Reading)
        library.read_mask.argtypes = (operator, ctypes.c_void_p, ctypes.POINTER(_Box), mask, reading)
        rows = (ctypes.c_int32, ctypes.c_int32)
        library.label_rows.argtypes = (operator, ctypes.POINTER(_Vote), ctypes.c_int32, *rows, ctypes.c_void_p)
        library.read_mask.restype = library.label_rows.restype = None
    return library


def is_built() -> bool:
    """Return whether the kernel is available."""
    return _library() is not None


def _logits(logits: FloatArray, to_frame: Enlargement) -> int:
    return address_of(logits, "logits", np.float32, (len(to_frame.rows.weights), len(to_frame.columns.weights)))


def read_mask(logits: FloatArray, to_frame: Enlargement, box: Box, mask: BoolArray) -> tuple[Region, float]:
    """Return the region of *box* where upsampled logits (h, w) are positive, and the sum of their sigmoids there.

    *mask*, of the box's size and all False, receives the result.
    """
    operator, found = _operator(to_frame), _Reading()
    height, width = to_frame.size
    target = address_of(mask, "mask", np.bool_, (box.height, box.width))
    _library().read_mask(operator, _logits(logits, to_frame), _Box.of(box), target, found)
    return _region(found, mask, box, Size(width, height)), found.sigmoids


def _region(found: _Reading, mask: BoolArray, box: Box, frame: Size) -> Region:
    if not found.pixels:
        return Region.from_mask(mask[:0], frame)
    tight = found.box.box()
    inside = Box(tight.x - box.x, tight.y - box.y, tight.width, tight.height)
    return Region(tight, mask[inside.slices], found.pixels, frame)


@cache  # at most one entry per number of queries
def _table_of(length: int) -> type[ctypes.Array[_Vote]]:
    """Return the array type, cached: ctypes creates a new type on each call, freed only by a full collection."""
    return _Vote * length


def row_labeller(labels: ByteArray, votes: Sequence[Vote], to_frame: Enlargement) -> Callable[[slice], None]:
    """Return a function that labels a slice of rows in *labels*, uint8 H×W, initially background; *votes* by class."""
    operator, table = _operator(to_frame), _table_of(len(votes))(*(_Vote.of(vote, to_frame) for vote in votes))
    target = address_of(labels, "labels", np.uint8, to_frame.size)

    def label(rows: slice) -> None:
        _library().label_rows(operator, table, len(votes), rows.start, rows.stop, target)

    return label
