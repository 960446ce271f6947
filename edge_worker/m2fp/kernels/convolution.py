"""Task descriptions and scratch memory for the convolution kernels."""

from __future__ import annotations

import ctypes
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from edge_worker.m2fp.kernels.arrays import address_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edge_worker.m2fp.types import FloatArray

# Channels and filters must be multiples of this.
UNIT = 32

_LINE = 64  # bytes per cache line

_thread_local = threading.local()


@dataclass(frozen=True)
class Layer:
    """Parameters of a convolution.

    Attributes:
        weights: in the layout returned by the kernel's ``packed``; any alignment.
        bias: float32 (filters,).
        kernel: height and width of the window, 1 or 3; zero padding keeps the map's size at stride 1.
        stride: 1 or 2.
        rectified: whether to apply ReLU.
    """

    weights: NDArray[np.uint8]
    bias: FloatArray
    kernel: int
    stride: int
    rectified: bool


class Task(ctypes.Structure):
    """``struct Convolution`` of ``convolution.h``."""

    _fields_ = (
        *((name, ctypes.c_void_p) for name in ("source", "weights", "bias", "added", "out")),
        *((name, ctypes.c_int32) for name in ("height", "width", "channels", "filters")),
        *((name, ctypes.c_int32) for name in ("kernel", "stride", "rectified", "rows", "columns")),
    )

    @classmethod
    def of(cls, source: FloatArray, layer: Layer, added: FloatArray | None, out: FloatArray) -> Task:
        """Describe contiguous arrays, which must outlive the task.

        Args:
            source: float32 (height, width, channels); for a matrix product (rows, 1, channels).
            layer: the convolution.
            added: residual, float32 of the shape of *out*, added before the ReLU; or None.
            out: float32 (height / stride, width / stride, filters), rounded up.

        Raises:
            ValueError: an array has the wrong dtype, shape or layout; the message names it.
        """
        height, width, channels = source.shape
        filters, steps = len(layer.bias), layer.stride
        made = (-(-height // steps), -(-width // steps), filters)
        if channels % UNIT or filters % UNIT or layer.kernel not in (1, 3) or steps not in (1, 2):
            raise ValueError(f"no such convolution: {channels} channels, {filters} filters, {layer.kernel}, {steps}")
        weights = filters * layer.kernel**2 * channels * 4
        return cls(
            address_of(source, "source", np.float32, (height, width, channels)),
            address_of(layer.weights, "weights", np.uint8, (weights,)),
            address_of(layer.bias, "bias", np.float32, (filters,)),
            None if added is None else address_of(added, "added", np.float32, made),
            address_of(out, "out", np.float32, made),
            *(*source.shape, len(layer.bias)),
            *(layer.kernel, layer.stride, layer.rectified, *out.shape[:2]),
        )


def lent_memory(size: int, name: str = "scratch") -> int:
    """Return the address of *size* bytes of thread-local memory, aligned to a cache line and reused by later calls.

    Each *name* is a separate buffer.
    """
    kept = getattr(_thread_local, name, None)
    if kept is None or len(kept) < size + _LINE:
        kept = np.empty(size + _LINE, np.uint8)
        setattr(_thread_local, name, kept)
    return -(-int(kept.ctypes.data) // _LINE) * _LINE
