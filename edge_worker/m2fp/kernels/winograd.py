"""Wrapper of the compiled float32 3x3 convolution kernel, which needs a quarter of the multiplications.

Winograd's F(4x4, 3x3): Lavin and Gray, arXiv 1509.09308. Where it cannot run, the engine's own kernels do.
"""

from __future__ import annotations

import ctypes
from functools import lru_cache
from typing import TYPE_CHECKING, Final

import numpy as np

from edge_worker.m2fp.kernels.convolution import UNIT, Task, lent_memory
from edge_worker.m2fp.kernels.loader import load_kernel, most_level

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edge_worker.m2fp.kernels.convolution import Layer
    from edge_worker.m2fp.kernels.workers import Workers
    from edge_worker.m2fp.types import FloatArray

# Version of kernel and weight layout, part of the cache key: compiled networks with another version are not used.
KERNEL: Final = "winograd-1"

_FLOATS: Final = (0, 8, 16)  # most per vector, by level of vector.h

_WINDOW: Final = 3
_TILE: Final = 4  # output cells per side
_PLACES: Final = 36  # of a transformed tile

# With fewer tiles, transforming the weights (to four times their size) costs more than it saves.
_FEWEST_TILES: Final = 48

# Minimum tiles per piece of work, since each piece reads all transformed weights.
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
    """Return the kernel's vector width in floats on this CPU: 8 or 16, or 0 if it is not built or not supported.

    The kernel obeys OpenVINO's ISA limit, so that CPUs without AVX-512 can be benchmarked on one that has it.
    """
    library = _library()
    return 0 if library is None else min(int(library.winograd_width()), _FLOATS[most_level()])


def is_usable() -> bool:
    """Return whether the kernel is built and this CPU supports it."""
    return width() > 0


def suits(kernel: int, stride: int, size: tuple[int, int]) -> bool:
    """Return whether the kernel supports such a convolution on a map of this *size* (height, width) and is faster."""
    tiles = -(-size[0] // _TILE) * -(-size[1] // _TILE)
    return (kernel, stride) == (_WINDOW, 1) and tiles >= _FEWEST_TILES


def packed(weights: FloatArray) -> NDArray[np.uint8]:
    """Pack *weights* into the kernel's layout, of the same size in bytes.

    Args:
        weights: float32 (filters, 3, 3, channels), filters and channels multiples of UNIT.

    Returns:
        The bytes of float32 (filters / UNIT, 3, 3, channels, UNIT).
    """
    blocks = weights.reshape(len(weights) // UNIT, UNIT, *weights.shape[1:])
    return np.ascontiguousarray(np.moveaxis(blocks, 1, -1), np.float32).view(np.uint8).reshape(-1)


def convolve(source: FloatArray, layer: Layer, added: FloatArray | None, out: FloatArray, workers: Workers) -> None:
    """Convolve 3x3 with stride 1, add the residual and apply ReLU; the arrays are those of :meth:`Task.of`."""
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
