"""Wrapper of the compiled preprocessing kernel; without it Pillow and OpenCV compute the same.

``preprocess.c`` resizes RGB images as Pillow's BILINEAR does, to the last bit, and normalises them. Calls release the
GIL, so threads run in parallel.
"""

from __future__ import annotations

import ctypes
import math
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from edge_worker.m2fp.kernels.arrays import address_of
from edge_worker.m2fp.kernels.loader import load_kernel

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edge_worker.m2fp.parallel import Each
    from edge_worker.m2fp.types import ByteArray, FloatArray, Size

_CHANNELS = 3

# As in ``preprocess.c``: rows transposed at a time, and fraction bits of a fixed-point weight.
_ROWS = 16
_FRACTION_BITS = 22

# Output rows per piece of work. Input rows at the border of two pieces are resized horizontally twice.
_STRIP = 64

# Number of cached operators; two per frame size in use.
_AXES = 32


class _Axis(ctypes.Structure):
    _fields_ = (
        *((name, ctypes.c_void_p) for name in ("first", "count", "weights")),
        *((name, ctypes.c_int32) for name in ("in", "out", "taps")),
    )


@dataclass(frozen=True, eq=False)
class Axis:
    """The operator along one axis.

    Attributes:
        first, count: int32 (out), first pixel that each output pixel depends on, and how many.
        weights: int32 (out, taps), fixed point.
        length: number of input pixels.
    """

    first: NDArray[np.int32]
    count: NDArray[np.int32]
    weights: NDArray[np.int32]
    length: int

    def support(self, begin: int, end: int) -> int:
        """Return the number of input pixels that the output pixels *begin* to *end* (exclusive) depend on."""
        return int(self.first[end - 1] + self.count[end - 1] - self.first[begin])

    def structure(self) -> _Axis:
        """Return what the kernel reads; the arrays must outlive it."""
        out, taps = self.weights.shape
        return _Axis(
            address_of(self.first, "first", np.int32, (out,)),
            address_of(self.count, "count", np.int32, (out,)),
            address_of(self.weights, "weights", np.int32, (out, taps)),
            *(self.length, out, taps),
        )


@lru_cache(maxsize=_AXES)
def axis(length: int, out: int) -> Axis:
    """Return the operator from *length* to *out* pixels: a triangle around each output pixel's centre, normalised."""
    scale = length / out
    reach = max(scale, 1.0)
    taps = math.ceil(reach) * 2 + 1
    centre = (np.arange(out) + 0.5) * scale
    first = np.maximum((centre - reach + 0.5).astype(np.int32), 0)
    count = np.minimum((centre + reach + 0.5).astype(np.int32), length) - first
    tap = np.arange(taps)
    triangle = np.maximum(1 - np.abs((tap + first[:, None] - centre[:, None] + 0.5) * (1 / reach)), 0.0)
    triangle[tap >= count[:, None]] = 0
    triangle /= np.cumsum(triangle, axis=1)[:, -1:]  # summed from left to right, as Pillow does
    weights = (triangle * (1 << _FRACTION_BITS) + 0.5).astype(np.int32)
    return Axis(first.astype(np.int32), count.astype(np.int32), np.ascontiguousarray(weights), length)


@lru_cache(maxsize=1)
def _library() -> Any:  # noqa: ANN401 - ctypes makes functions of any name
    library = load_kernel("preprocess")
    if library is not None:
        operator, array, number = ctypes.POINTER(_Axis), ctypes.c_void_p, ctypes.c_int32
        library.resize_rows.argtypes = (operator, operator, array, array, array, array, number, number)
        library.normalise.argtypes = (array, number, number, array, array, array, number, number)
        library.resize_rows.restype = library.normalise.restype = None
    return library


def is_built() -> bool:
    """Return whether the kernel is available."""
    return _library() is not None


def resize(image: ByteArray, size: Size, each: Each) -> ByteArray:
    """Resize *image*, RGB uint8 H×W×3, contiguous; *each* maps over strips of the result.

    Raises:
        ValueError: the image has another dtype, shape or layout.
    """
    height, width = image.shape[:2]
    source = address_of(image, "image", np.uint8, (height, width, _CHANNELS))
    columns, rows = axis(width, size.width), axis(height, size.height)
    resized = np.empty((size.height, size.width, _CHANNELS), np.uint8)
    target = address_of(resized, "resized", np.uint8, resized.shape)
    operators = columns.structure(), rows.structure()
    row = _rounded(size.width) * _CHANNELS

    def fill(begin: int) -> None:
        end = min(begin + _STRIP, size.height)
        turned = np.empty(_rounded(width * _CHANNELS) * _ROWS, np.uint8)
        narrow = np.empty(_rounded(rows.support(begin, end)) * row, np.uint8)
        places = (address_of(one, "room", np.uint8, one.shape) for one in (turned, narrow))
        _library().resize_rows(*operators, source, *places, target, begin, end)

    list(each(fill, range(0, size.height, _STRIP)))
    return resized


def normalise(image: ByteArray, mean: FloatArray, deviation: FloatArray, padded: Size) -> FloatArray:
    """Return (x - mean) / deviation of *image*, RGB uint8 h×w×3, contiguous, by channel.

    Returns:
        float32 1×3×H×W of size *padded*, zeros outside the image.

    Raises:
        ValueError: the image has another dtype, shape or layout, or is larger than *padded*.
    """
    height, width = image.shape[:2]
    if height > padded.height or width > padded.width:
        raise ValueError(f"an image of {width}×{height} does not fit {padded.width}×{padded.height}")
    planes = np.empty((1, _CHANNELS, padded.height, padded.width), np.float32)
    _library().normalise(
        address_of(image, "image", np.uint8, (height, width, _CHANNELS)),
        *(height, width),
        address_of(mean, "mean", np.float32, (_CHANNELS,)),
        address_of(deviation, "deviation", np.float32, (_CHANNELS,)),
        address_of(planes, "planes", np.float32, planes.shape),
        *(padded.height, padded.width),
    )
    return planes


def _rounded(count: int) -> int:
    """Return *count* rounded up to a multiple of the kernel's block."""
    return -(-count // _ROWS) * _ROWS
