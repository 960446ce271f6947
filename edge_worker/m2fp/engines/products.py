"""The compiled kernel for convolutions and matrix products of float32 on AMX; where it cannot run the engine's own do.

The processor multiplies bf16 only. A float32 is split into two of them, which keep 16 of its 24 bits; the sums are
float32 (bf16x3, PyTorch's float32 products of precision "high").
"""

from __future__ import annotations

import ctypes
import threading
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from edge_worker.m2fp.compiled import load_kernel

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edge_worker.m2fp.engines.workers import Workers
    from edge_worker.m2fp.types import FloatArray

# Names the kernel and how weights are packed; compiled networks that contain another are not used.
KERNEL = "products-1"

# Channels and filters come in multiples of this: two tiles of 16.
UNIT = 32

_SIDE = 16

_own = threading.local()


@dataclass(frozen=True)
class Layer:
    """A convolution.

    Attributes:
        weights: as :func:`packed` returns them.
        bias: float32 (filters,).
        kernel: height and width of the window, 1 or 3; a margin of zeros keeps the map's size at stride 1.
        stride: 1 or 2.
        rectified: whether negative results become 0.
    """

    weights: NDArray[np.uint8]
    bias: FloatArray
    kernel: int
    stride: int
    rectified: bool


class _Product(ctypes.Structure):
    """``Product`` of ``products.c``."""

    _fields_ = (
        *((name, ctypes.c_void_p) for name in ("source", "weights", "bias", "added", "out")),
        *((name, ctypes.c_int32) for name in ("height", "width", "channels", "filters")),
        *((name, ctypes.c_int32) for name in ("kernel", "stride", "rectified", "rows", "columns")),
    )


@lru_cache(maxsize=1)
def _library() -> ctypes.CDLL | None:
    library = load_kernel("engines/_products")
    if library is None or not library.product_is_usable():
        return None
    library.product_memory.restype = ctypes.c_int64
    library.product_rows.argtypes = (ctypes.POINTER(_Product), ctypes.c_int64, ctypes.c_int64, ctypes.c_void_p)
    library.product_rows.restype = None
    return library


def is_usable() -> bool:
    """Whether the kernel was built, and runs on this processor."""
    return _library() is not None


def packed(weights: FloatArray) -> NDArray[np.uint8]:
    """*weights* as the kernel reads them, in as many bytes.

    Args:
        weights: float32 (filters, kernel, kernel, channels), filters and channels multiples of UNIT.

    Returns:
        The bf16, high then low, of 32 filters and 32 channels after another, in tiles of 16 pairs of channels by
        16 filters.
    """
    tiles = weights.reshape(len(weights) // UNIT, 2, _SIDE, -1, _SIDE, 2)  # block, half, filter, step, pair, channel
    high = _rounded(tiles)
    both = np.stack([high, _rounded(tiles - _widened(high))])
    return np.ascontiguousarray(both.transpose(1, 4, 0, 2, 5, 3, 6)).view(np.uint8).reshape(-1)


def _rounded(numbers: FloatArray) -> NDArray[np.uint16]:
    """The bits of the nearest bf16, ties to even."""
    bits = np.ascontiguousarray(numbers, np.float32).view(np.uint32)
    return ((bits + np.uint32(0x7FFF) + (bits >> np.uint32(16) & np.uint32(1))) >> np.uint32(16)).astype(np.uint16)


def _widened(bits: NDArray[np.uint16]) -> FloatArray:
    return (bits.astype(np.uint32) << np.uint32(16)).view(np.float32)


def convolve(source: FloatArray, layer: Layer, added: FloatArray | None, out: FloatArray, workers: Workers) -> None:
    """Convolve, add, rectify; all arrays are contiguous.

    Args:
        source: float32 (height, width, channels); for a matrix product (rows, 1, channels).
        layer: what is done to it.
        added: float32, of the shape of *out*, added before the rectifier; or None.
        out: float32 (height / stride, width / stride, filters), rounded up.
        workers: who does it.
    """
    library = _library()
    assert library is not None  # noqa: S101 - is_usable said so
    arrays = (source, layer.weights, layer.bias, added, out)
    addresses = (None if array is None else array.ctypes.data for array in arrays)
    sizes = (*source.shape, len(layer.bias), layer.kernel, layer.stride, layer.rectified, *out.shape[:2])
    task = _Product(*addresses, *sizes)
    memory = library.product_memory(ctypes.byref(task))
    workers.share(lambda begin, end: library.product_rows(task, begin, end, _memory(memory)), len(out))


def _memory(size: int) -> int:
    """The address of so many bytes of this thread's own, kept for the next call."""
    kept = getattr(_own, "memory", None)
    if kept is None or len(kept) < size:
        kept = _own.memory = np.empty(size, np.uint8)
    return int(kept.ctypes.data)
