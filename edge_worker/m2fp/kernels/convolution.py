"""What the compiled kernels for convolutions are told, and the memory they are lent."""

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

# Channels and filters come in multiples of this.
UNIT = 32

_LINE = 64  # bytes

_own = threading.local()


@dataclass(frozen=True)
class Layer:
    """A convolution.

    Attributes:
        weights: as the kernel's ``packed`` returns them; they may lie at any address.
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


class Task(ctypes.Structure):
    """``Convolution`` of ``convolution.h``."""

    _fields_ = (
        *((name, ctypes.c_void_p) for name in ("source", "weights", "bias", "added", "out")),
        *((name, ctypes.c_int32) for name in ("height", "width", "channels", "filters")),
        *((name, ctypes.c_int32) for name in ("kernel", "stride", "rectified", "rows", "columns")),
    )

    @classmethod
    def of(cls, source: FloatArray, layer: Layer, added: FloatArray | None, out: FloatArray) -> Task:
        """Describe contiguous arrays, which must live as long as this does.

        Args:
            source: float32 (height, width, channels); for a matrix product (rows, 1, channels).
            layer: what is done to it.
            added: float32, of the shape of *out*, added before the rectifier; or None.
            out: float32 (height / stride, width / stride, filters), rounded up.

        Raises:
            ValueError: an array is of another kind; the message names it.
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
    """The address of so many bytes of this thread's own, at the start of a cache line; kept for the next call.

    Memory under another *name* is other memory.
    """
    kept = getattr(_own, name, None)
    if kept is None or len(kept) < size + _LINE:
        kept = np.empty(size + _LINE, np.uint8)
        setattr(_own, name, kept)
    return -(-int(kept.ctypes.data) // _LINE) * _LINE
