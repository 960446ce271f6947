"""The compiled kernel for deformable attention's sampling, where it was built; without it engines use plain operators.

``deformable.c`` is an optional extension: a box without a compiler installs the package all the same.
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

# Names the kernel and what is done with it; compiled networks that contain another are not used.
KERNEL = "deformable-1"

# Sampling points per head and level, as in the network.
POINTS = 4

# Points of all levels together that the kernel has room for.
_MOST_POINTS = 64


class _Task(ctypes.Structure):
    """``Task`` of ``deformable.c``."""

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
    """Whether the kernel is there, and has room for the points of that many levels."""
    return _library() is not None and levels * POINTS <= _MOST_POINTS


def sample(
    value: FloatArray, projected: FloatArray, sizes: NDArray[np.int32], out: FloatArray, workers: Workers
) -> None:
    """Weighted sums of samples (Deformable DETR, equation 3, without the projections), into *out*.

    All arrays are contiguous; N tokens are the cells of all levels in turn, row by row.

    Args:
        value: float32 (N, C), projected values.
        projected: float32 (N, heads·levels·POINTS·3): offsets in cells (head, level, point, x y), then scores before
            their softmax (head, level, point).
        sizes: int32 (levels, 2), height and width of each level.
        out: float32 (N, C).
        workers: who does it.

    Raises:
        ValueError: an array is of another kind; the message names it.
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
