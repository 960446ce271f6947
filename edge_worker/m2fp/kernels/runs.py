"""Wrapper of the compiled kernel that finds runs of pixels; without it NumPy computes the same.

``runs.c`` passes over a frame once and skips blocks in which nothing changes.
"""

from __future__ import annotations

import ctypes
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from edge_worker.m2fp.kernels.arrays import address_of
from edge_worker.m2fp.kernels.loader import load_kernel

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edge_worker.m2fp.types import ByteArray


@lru_cache(maxsize=1)
def _library() -> Any:  # noqa: ANN401 - ctypes makes functions of any name
    library = load_kernel("runs")
    if library is not None:
        array, number = ctypes.c_void_p, ctypes.c_int32
        library.find_runs.argtypes = (array, array, number, number, array, array)
        library.find_runs.restype = number
    return library


def is_built() -> bool:
    """Return whether the kernel is available."""
    return _library() is not None


def find_runs(owners: ByteArray, labels: ByteArray) -> tuple[NDArray[np.int32], NDArray[np.uint16]]:
    """Find the runs of one owner and one label in each row of a frame; both uint8 H×W, contiguous.

    Returns:
        The flat index of each run's first pixel, ascending, and its key: 256 × owner + label.

    Raises:
        ValueError: an array has another dtype, shape or layout.
    """
    # At most one run per pixel, and the kernel writes one entry beyond the last; pages not written take no memory.
    starts, keys = np.empty(labels.size + 1, np.int32), np.empty(labels.size + 1, np.uint16)
    count = _library().find_runs(
        address_of(owners, "owners", np.uint8, labels.shape),
        address_of(labels, "labels", np.uint8, labels.shape),
        *labels.shape,
        address_of(starts, "starts", np.int32, starts.shape),
        address_of(keys, "keys", np.uint16, keys.shape),
    )
    return starts[:count].copy(), keys[:count].copy()
