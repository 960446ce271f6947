"""Preprocessing: frame → network input, plus the geometry to map the output back. Shared by all engines.

The resize is Pillow's BILINEAR on uint8 (antialiased when shrinking), as in the published pipeline: label maps agree
pixel by pixel only with the same resize.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import cv2
import numpy as np
from PIL import Image

from edge_worker.m2fp.kernels import preprocess as kernel
from edge_worker.m2fp.parallel import one_by_one
from edge_worker.m2fp.types import Box, ByteArray, FloatArray, Size

if TYPE_CHECKING:
    from edge_worker.m2fp.configuration import InputConfig, ModelConfig
    from edge_worker.m2fp.parallel import Each

# Mean and standard deviation of ImageNet, RGB, 0–255.
MEAN = np.array((123.675, 116.28, 103.53), np.float32)
DEVIATION = np.array((58.395, 57.12, 57.375), np.float32)

# Stride of the coarsest feature map.
SIZE_DIVISOR = 32

# Factors by which libjpeg shrinks an image at no cost, largest first.
_REDUCTIONS = (8, 4, 2)

# Grey of the canvas around the frame in single-human models.
_CANVAS_GREY = 128


@dataclass(frozen=True)
class Geometry:
    """Position of the frame in the network's input.

    Attributes:
        frame: size of the frame.
        padded: size of the input, multiples of 32.
        window: the part of the input covered by the frame.
    """

    frame: Size
    padded: Size
    window: Box


@dataclass(frozen=True, eq=False)
class NetInput:
    """A preprocessed frame.

    Attributes:
        image: RGB uint8 h×w×3, resized (and set on its canvas), before normalisation and padding.
        tensor: float32 1×3×H×W, normalised, zeros below and right of the image.
        geometry: where the frame lies in it.
    """

    image: ByteArray
    tensor: FloatArray
    geometry: Geometry


def preprocess(
    image: ByteArray,
    config: ModelConfig,
    short_side: int | None = None,
    each: Each = one_by_one,
    frame: Size | None = None,
) -> NetInput:
    """Convert a frame, RGB uint8 H×W×3, to the input of the network described by *config*.

    *frame* is its size if *image* was shrunk by :func:`reduction` during decoding.
    *short_side* overrides that of a multi-human model (the limit of the long side scales with it);
    single-human models use a fixed canvas and ignore it. *each* maps over independent pieces of work.
    """
    frame = frame or Size(image.shape[1], image.shape[0])
    if config.canvas is None:
        size = multi_human_size(frame, config.input, short_side)
        resized, window = _resize(image, size, each), Box(0, 0, *size)
    else:
        resized, window = _on_canvas(image, Size(*config.canvas), each)
    padded = padded_size(Size(resized.shape[1], resized.shape[0]))
    return NetInput(resized, normalise(resized, padded), Geometry(frame, padded, window))


def reduction(frame: Size, config: ModelConfig, short_side: int | None = None) -> int:
    """Return the factor by which a *frame* may be shrunk during decoding: 1, 2, 4 or 8.

    The model must allow it, and the shrunk frame must be no smaller than the network's input.
    """
    if config.canvas is not None or not config.input.reduced_decoding:
        return 1
    size = multi_human_size(frame, config.input, short_side)
    fits = (scale for scale in _REDUCTIONS if _fits(size, Size(frame.width // scale, frame.height // scale)))
    return next(fits, 1)


def multi_human_size(frame: Size, limits: InputConfig, short_side: int | None = None) -> Size:
    """Return the resized *frame*: the shorter side is *short_side* unless the longer would exceed its limit."""
    short_side = short_side or limits.short_side
    long_side = short_side * limits.max_side / limits.short_side
    width, height = (side * (short_side / min(frame)) for side in frame)
    shrink = min(1.0, long_side / max(width, height))  # separate, as published: a combined factor rounds differently
    return Size(*(max(1, int(side * shrink + 0.5)) for side in (width, height)))


def padded_size(size: Size) -> Size:
    """Return *size* rounded up to multiples of 32."""
    return Size(*(-(-side // SIZE_DIVISOR) * SIZE_DIVISOR for side in size))


def normalise(image: ByteArray, padded: Size) -> FloatArray:
    """Return (x - mean) / std of RGB uint8 h×w×3: float32 1×3×H×W of size *padded*, zeros outside the image."""
    if kernel.is_built():
        return kernel.normalise(np.ascontiguousarray(image), MEAN, DEVIATION, padded)
    return normalise_plainly(image, padded)


def normalise_plainly(image: ByteArray, padded: Size) -> FloatArray:
    """Do the same as :func:`normalise` without the kernel."""
    height, width = image.shape[:2]
    tensor = np.zeros((1, 3, padded.height, padded.width), np.float32)
    for channel, table in enumerate(_normalisation_tables()):
        tensor[0, channel, :height, :width] = cv2.LUT(image[:, :, channel], table)
    return tensor


@lru_cache(maxsize=1)
def _normalisation_tables() -> tuple[FloatArray, ...]:
    """Return a lookup table of 256 normalised values per channel."""
    values = np.arange(256, dtype=np.float32)
    return tuple((values - mean) / deviation for mean, deviation in zip(MEAN, DEVIATION, strict=True))


def _resize(image: ByteArray, size: Size, each: Each) -> ByteArray:
    if image.shape[:2] == (size.height, size.width):
        return image
    if kernel.is_built():
        return kernel.resize(np.ascontiguousarray(image), size, each)
    return resize_plainly(image, size)


def resize_plainly(image: ByteArray, size: Size) -> ByteArray:
    """Resize the width, then the height, rounding each pass to uint8: Pillow before 13 does so, 13 may not."""
    if image.shape[1] != size.width:
        image = _resize_once(image, Size(size.width, image.shape[0]))
    if image.shape[0] != size.height:
        image = _resize_once(image, size)
    return image


def _resize_once(image: ByteArray, size: Size) -> ByteArray:
    return np.asarray(Image.fromarray(image).resize(size, Image.Resampling.BILINEAR))


def _on_canvas(image: ByteArray, canvas: Size, each: Each) -> tuple[ByteArray, Box]:
    """Shrink *image* to fit the *canvas* if needed, never enlarge it, and centre it on grey."""
    size = _fit(Size(image.shape[1], image.shape[0]), canvas)
    window = Box((canvas.width - size.width) // 2, (canvas.height - size.height) // 2, *size)
    placed = np.full((canvas.height, canvas.width, 3), _CANVAS_GREY, np.uint8)
    placed[window.slices] = _resize(image, size, each)
    return placed, window


def _fit(frame: Size, canvas: Size) -> Size:
    """Return the size of *frame* inside *canvas*, as published.

    The longer side is set to the canvas's if the other side then fits, else the shorter; the other is truncated.
    """
    if _fits(frame, canvas):
        return frame
    by_width = Size(canvas.width, max(1, frame.height * canvas.width // frame.width))
    by_height = Size(max(1, frame.width * canvas.height // frame.height), canvas.height)
    first, second = (by_height, by_width) if frame.height > frame.width else (by_width, by_height)
    return first if _fits(first, canvas) else second


def _fits(size: Size, canvas: Size) -> bool:
    return size.width <= canvas.width and size.height <= canvas.height
