"""Checks of array arguments before C is called, where a wrong size would be an out-of-bounds access."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import DTypeLike, NDArray


def address_of(array: NDArray[Any], name: str, dtype: DTypeLike, shape: tuple[int, ...]) -> int:
    """Return the address of a C-contiguous *array* of this *dtype* and *shape*.

    Raises:
        ValueError: the array does not match; the message has *name*, the expected and the actual layout.
    """
    if array.dtype == dtype and array.shape == shape and array.flags.c_contiguous:
        return int(array.ctypes.data)
    order = "" if array.flags.c_contiguous else f" with strides {array.strides}"
    wanted = f"{np.dtype(dtype).name} {shape}, C-contiguous"
    raise ValueError(f"{name} should be {wanted}, not {array.dtype.name} {array.shape}{order}")
