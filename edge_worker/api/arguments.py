"""Argument validation of the library; messages name the argument and the value seen."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

_CHANNELS = 3
_AS_RGB = {(2, 0): "cv2.COLOR_GRAY2RGB", (3, 1): "cv2.COLOR_GRAY2RGB", (3, 4): "cv2.COLOR_BGRA2RGB"}
"""Dimensions and channels of an array → OpenCV's conversion to RGB."""


def rgb_image(image: object) -> npt.NDArray[np.uint8]:
    """Return *image* if it is RGB uint8 H×W×3, not empty, and C-contiguous.

    Raises:
        ValueError: it is not; the message gives shape and dtype, and what to do.
    """
    if not isinstance(image, np.ndarray):
        hint = ': numpy.asarray(image.convert("RGB")) makes one' if hasattr(image, "convert") else ""
        raise ValueError(  # noqa: TRY004 - one kind of error for whatever is wrong with an image
            f"an image is an RGB uint8 array of shape (height, width, 3), not {type(image).__name__}{hint}"
        )
    if problem := _problem(image):
        raise ValueError(f"an image {problem}")
    return image


def _problem(image: npt.NDArray[np.generic]) -> str:
    """Describe what is wrong with an array; empty if it is an image."""
    seen = f"not {image.dtype} {image.shape}"
    channels = image.shape[2] if image.ndim == _CHANNELS else 0
    if channels != _CHANNELS:
        conversion = _AS_RGB.get((image.ndim, channels))
        advice = f"; cv2.cvtColor(image, {conversion}) makes one" if conversion else ""
        return f"has shape (height, width, 3), {seen}{advice}"
    if image.dtype != np.uint8:
        return f"is uint8, 0 to 255, {seen}"
    if image.size == 0:
        return f"has pixels, {seen}"
    if not image.flags.c_contiguous:
        return f"is C-contiguous, {seen} with strides {image.strides}: numpy.ascontiguousarray(image) makes one"
    return ""


def file_bytes(payload: object) -> bytes:
    """Return *payload* as bytes.

    Raises:
        TypeError: it is not bytes, a bytearray or a memoryview.
    """
    if not isinstance(payload, bytes | bytearray | memoryview):
        raise TypeError(f"a payload is bytes, not {type(payload).__name__}")
    return bytes(payload)


def at_least_1(name: str, value: object) -> None:
    """Require a whole number of at least 1.

    Raises:
        ValueError: with the argument's *name*.
    """
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ValueError(f"{name} is a whole number, 1 or more, not {value!r}")


def within(name: str, value: object, low: int, high: int) -> None:
    """Require a number from *low* to *high*.

    Raises:
        ValueError: with the argument's *name*.
    """
    if isinstance(value, bool) or not isinstance(value, int | float | np.number) or not low <= value <= high:
        raise ValueError(f"{name} is a number from {low} to {high}, not {value!r}")
