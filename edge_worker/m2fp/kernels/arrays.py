"""What C may assume of an array is checked before it is entered: a wrong size there would be a wrong address."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import DTypeLike, NDArray


def address_of(array: NDArray[Any], name: str, dtype: DTypeLike, shape: tuple[int, ...]) -> int:
    """The address of a C-contiguous *array* of this *dtype* and *shape*.

    Raises:
        ValueError: it is another; the message names it, and gives both.
    """
    if array.dtype == dtype and array.shape == shape and array.flags.c_contiguous:
        return int(array.ctypes.data)
    order = "" if array.flags.c_contiguous else f" with strides {array.strides}"
    wanted = f"{np.dtype(dtype).name} {shape}, C-contiguous"
    raise ValueError(f"{name} should be {wanted}, not {array.dtype.name} {array.shape}{order}")
