"""Argument validation of the library; messages name the argument and the value."""

from __future__ import annotations

from collections.abc import Mapping
from os import PathLike, fspath
from pathlib import Path

import numpy as np
import numpy.typing as npt

from edge_worker.imaging.decoder import MAX_SIDE

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
        raise ValueError(  # noqa: TRY004 - one type of error for everything that is wrong with an image
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


def jpeg_sized(image: npt.NDArray[np.uint8]) -> None:
    """Require an image that fits into a JPEG.

    Raises:
        ValueError: a side is too long; the message gives shape and limit.
    """
    if max(image.shape) > MAX_SIDE:
        raise ValueError(f"a JPEG has at most {MAX_SIDE} pixels on a side, not {image.shape[:2]}")


def file_bytes(payload: object) -> bytes:
    """Return *payload* as bytes.

    Raises:
        TypeError: it is not bytes, a bytearray or a memoryview.
    """
    if not isinstance(payload, bytes | bytearray | memoryview):
        raise TypeError(f"a payload is bytes, not {type(payload).__name__}")
    return bytes(payload)


def file_path(name: str, value: object) -> Path:
    """Return *value* as a path.

    Raises:
        TypeError: it is neither text nor a path object of text; the message has the argument's *name*.
        ValueError: it is empty.
    """
    path = fspath(value) if isinstance(value, PathLike) else value
    if not isinstance(path, str):
        raise TypeError(f"{name} is a str or a pathlib.Path, not {value!r}")
    if not path:
        raise ValueError(f"{name} is empty: give the name of a file or directory")
    return Path(path)


def text(name: str, value: object) -> None:
    """Require a str.

    Raises:
        TypeError: with the argument's *name*.
    """
    if not isinstance(value, str):
        raise TypeError(f"{name} is a str, not {value!r}")


def true_or_false(name: str, value: object) -> None:
    """Require a bool.

    Raises:
        TypeError: with the argument's *name*.
    """
    if not isinstance(value, bool):
        raise TypeError(f"{name} is True or False, not {value!r}")


def colours(name: str, value: object) -> None:
    """Require a mapping with str keys, or None; names and colours are checked against the model's classes.

    Raises:
        TypeError: with the argument's *name*.
    """
    if value is not None and not (isinstance(value, Mapping) and all(isinstance(key, str) for key in value)):
        raise TypeError(f'{name} maps class names to colours, such as {{"Hat": "#ff8000"}}, not {value!r}')


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
