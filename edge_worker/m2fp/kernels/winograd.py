"""The compiled kernel for convolutions of float32 by 3x3 with a quarter of the multiplications.

Where it cannot run the engine's own do. Winograd's F(4x4, 3x3): Lavin and Gray, arXiv 1509.09308.
"""

from __future__ import annotations

import ctypes
import os
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

# Names the kernel and how weights are packed; compiled networks that contain another are not used.
KERNEL: Final = "winograd-1"

_AVX2_FLOATS: Final = 8
_LIMIT: Final = "ONEDNN_MAX_CPU_ISA"  # OpenVINO's kernels go by it

_WINDOW: Final = 3
_TILE: Final = 4  # output cells of its side
_PLACES: Final = 36  # of a transformed tile

# With fewer the transformed weights, four times as many as there are, take longer than they save.
_FEWEST_TILES: Final = 48

# A piece of the work fetches all transformed weights; they serve this many tiles at least.
_PIECE_TILES: Final = 48


@lru_cache(maxsize=1)
def _library() -> ctypes.CDLL | None:
    library = load_kernel("winograd")
    if library is None:
        return None
    task, number, address = ctypes.POINTER(Task), ctypes.c_int64, ctypes.c_void_p
    for function in (library.winograd_tiles, library.winograd_memory):
        function.argtypes, function.restype = (task,), number
    library.winograd_weights.argtypes = (task, ctypes.c_int, number, number, address)
    library.winograd_compute.argtypes = (task, ctypes.c_int, number, number, address, address)
    library.winograd_weights.restype = library.winograd_compute.restype = None
    return library


def width() -> int:
    """Floats in a vector as the kernel uses them on this processor: 8, 16; 0: it was not built, or cannot run.

    Where OpenVINO is held to AVX2, so is the kernel: what boxes without AVX-512 take can be measured on one with it.
    """
    library = _library()
    floats = 0 if library is None else int(library.winograd_width())
    return min(floats, _AVX2_FLOATS) if os.environ.get(_LIMIT, "").upper().startswith("AVX2") else floats


def is_usable() -> bool:
    """Whether the kernel was built, and runs on this processor."""
    return width() > 0


def suits(kernel: int, stride: int, size: tuple[int, int]) -> bool:
    """Whether it computes such convolutions, and faster than the engine, for a map of this *size* (height, width)."""
    tiles = -(-size[0] // _TILE) * -(-size[1] // _TILE)
    return (kernel, stride) == (_WINDOW, 1) and tiles >= _FEWEST_TILES


def packed(weights: FloatArray) -> NDArray[np.uint8]:
    """*weights* as the kernel reads them, in as many bytes.

    Args:
        weights: float32 (filters, 3, 3, channels), filters and channels multiples of UNIT.

    Returns:
        The bytes of float32 (filters / UNIT, 3, 3, channels, UNIT).
    """
    blocks = weights.reshape(len(weights) // UNIT, UNIT, *weights.shape[1:])
    return np.ascontiguousarray(np.moveaxis(blocks, 1, -1), np.float32).view(np.uint8).reshape(-1)


def convolve(source: FloatArray, layer: Layer, added: FloatArray | None, out: FloatArray, workers: Workers) -> None:
    """Convolve by 3x3 with stride 1, add, rectify; the arrays are those of :meth:`Task.of`."""
    library = _library()
    assert library is not None  # noqa: S101 - is_usable said so
    task, floats = Task.of(source, layer, added, out), width()
    memory = library.winograd_memory(task)
    weights = lent_memory(4 * _PLACES * task.channels * task.filters, "weights")
    workers.share(
        lambda begin, end: library.winograd_weights(task, floats, begin, end, weights),
        task.channels,
        least=task.channels,
    )
    workers.share(
        lambda begin, end: library.winograd_compute(task, floats, begin, end, weights, lent_memory(memory)),
        library.winograd_tiles(task),
        least=_PIECE_TILES,
    )
