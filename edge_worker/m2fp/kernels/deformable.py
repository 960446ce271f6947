"""Wrapper of the compiled sampling kernel for deformable attention; without it engines use standard operators.

``deformable.c`` is an optional extension: the package installs without a compiler, too.
"""

from __future__ import annotations

import ctypes
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from edge_worker.m2fp.kernels.arrays import address_of
from edge_worker.m2fp.kernels.loader import load_kernel

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edge_worker.m2fp.kernels.workers import Workers
    from edge_worker.m2fp.types import FloatArray

# Kernel version, part of the cache key: compiled networks with another version are not used.
KERNEL = "deformable-1"

# Sampling points per head and level, as in the network.
POINTS = 4

# Maximum number of points of all levels together.
_MOST_POINTS = 64


class _Task(ctypes.Structure):
    """``struct Task`` of ``deformable.c``."""

    _fields_ = (
        *((name, ctypes.c_void_p) for name in ("value", "projected", "sizes", "out")),
        *((name, ctypes.c_int32) for name in ("levels", "heads", "channels", "points")),
    )


@lru_cache(maxsize=1)
def _library() -> ctypes.CDLL | None:
    library = load_kernel("deformable")
    if library is not None:
        library.deformable_sampling.argtypes = (ctypes.POINTER(_Task), ctypes.c_int64, ctypes.c_int64)
        library.deformable_sampling.restype = None
    return library


def is_built(levels: int = 1) -> bool:
    """Return whether the kernel is available and supports this number of levels."""
    return _library() is not None and levels * POINTS <= _MOST_POINTS


def sample(
    value: FloatArray, projected: FloatArray, sizes: NDArray[np.int32], out: FloatArray, workers: Workers
) -> None:
    """Compute weighted sums of samples (Deformable DETR, equation 3, without the projections) into *out*.

    All arrays are contiguous; the N tokens are the cells of all levels in order, row by row.

    Args:
        value: float32 (N, C), projected values.
        projected: float32 (N, heads·levels·POINTS·3): offsets in cells (head, level, point, x y), then scores before
            softmax (head, level, point).
        sizes: int32 (levels, 2), height and width of each level.
        out: float32 (N, C).
        workers: threads that share the work.

    Raises:
        ValueError: an array has the wrong dtype, shape or layout; the message names it.
    """
    library = _library()
    assert library is not None  # noqa: S101 - is_built said so
    levels = len(sizes)
    tokens, heads = int((sizes[:, 0].astype(np.int64) * sizes[:, 1]).sum()), projected.shape[1] // (3 * levels * POINTS)
    channels = value.shape[1] // max(1, heads)
    if not 0 < levels * POINTS <= _MOST_POINTS or heads <= 0:
        raise ValueError(f"{heads} heads of {levels * POINTS} points: there is room for 1 to {_MOST_POINTS} each")
    task = _Task(
        address_of(value, "value", np.float32, (tokens, heads * channels)),
        address_of(projected, "projected", np.float32, (tokens, heads * levels * POINTS * 3)),
        address_of(sizes, "sizes", np.int32, (levels, 2)),
        address_of(out, "out", np.float32, (tokens, heads * channels)),
        *(levels, heads, channels, POINTS),
    )
    workers.share(lambda begin, end: library.deformable_sampling(task, begin, end), len(value))
