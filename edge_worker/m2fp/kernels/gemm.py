"""Wrapper of the compiled float32 GEMM and convolution kernel for AMX; elsewhere the engine's own kernels run.

AMX multiplies bf16 only. Each float32 is split into two bf16, which keep 16 of its 24 bits, with fp32 accumulation
(bf16x3, as PyTorch's float32 matmul precision "high").
"""

from __future__ import annotations

import ctypes
from functools import lru_cache
from typing import TYPE_CHECKING, Final

import numpy as np

from edge_worker.m2fp.kernels.convolution import UNIT, Task, lent_memory
from edge_worker.m2fp.kernels.loader import load_kernel

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edge_worker.m2fp.kernels.convolution import Layer
    from edge_worker.m2fp.kernels.workers import Workers
    from edge_worker.m2fp.types import FloatArray

# Version of kernel and weight layout, part of the cache key: compiled networks with another version are not used.
KERNEL: Final = "products-1"

_SIDE: Final = 16


@lru_cache(maxsize=1)
def _library() -> ctypes.CDLL | None:
    library = load_kernel("gemm")
    if library is None or not library.product_is_usable():
        return None
    library.product_memory.restype = ctypes.c_int64
    library.product_rows.argtypes = (ctypes.POINTER(Task), ctypes.c_int64, ctypes.c_int64, ctypes.c_void_p)
    library.product_rows.restype = None
    return library


def is_usable() -> bool:
    """Return whether the kernel is built and this CPU supports it."""
    return _library() is not None


def suits(kernel: int, stride: int, size: tuple[int, int]) -> bool:  # noqa: ARG001 - asked of every kernel
    """Return whether the kernel supports such a convolution: window 1 or 3, stride 1 or 2, any map *size*."""
    return kernel in (1, 3) and stride in (1, 2)


def packed(weights: FloatArray) -> NDArray[np.uint8]:
    """Pack *weights* into the kernel's layout, of the same size in bytes.

    Args:
        weights: float32 (filters, kernel, kernel, channels), filters and channels multiples of UNIT.

    Returns:
        Blocks of 32 filters by 32 channels, the high bf16 parts before the low ones, each in tiles of 16 pairs of
        channels by 16 filters.
    """
    tiles = weights.reshape(len(weights) // UNIT, 2, _SIDE, -1, _SIDE, 2)  # block, half, filter, step, pair, channel
    high = _rounded(tiles)
    both = np.stack([high, _rounded(tiles - _widened(high))])
    return np.ascontiguousarray(both.transpose(1, 4, 0, 2, 5, 3, 6)).view(np.uint8).reshape(-1)


def _rounded(numbers: FloatArray) -> NDArray[np.uint16]:
    """Return the bits of the nearest bf16, ties to even."""
    bits = np.ascontiguousarray(numbers, np.float32).view(np.uint32)
    return ((bits + np.uint32(0x7FFF) + (bits >> np.uint32(16) & np.uint32(1))) >> np.uint32(16)).astype(np.uint16)


def _widened(bits: NDArray[np.uint16]) -> FloatArray:
    return (bits.astype(np.uint32) << np.uint32(16)).view(np.float32)


def convolve(source: FloatArray, layer: Layer, added: FloatArray | None, out: FloatArray, workers: Workers) -> None:
    """Convolve, add the residual and apply ReLU; the arrays are those of :meth:`Task.of`."""
    library = _library()
    assert library is not None  # noqa: S101 - is_usable said so
    task = Task.of(source, layer, added, out)
    memory = library.product_memory(ctypes.byref(task))
    workers.share(lambda begin, end: library.product_rows(task, begin, end, lent_memory(memory)), len(out))
