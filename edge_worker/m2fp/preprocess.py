"""A frame → the network's input, and what is needed to map its output back. One for all engines.

The resize is Pillow's BILINEAR on uint8 (antialiased when it shrinks), as in the published pipeline: it decides whether
label maps agree pixel by pixel.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import cv2
import numpy as np
from PIL import Image

from edge_worker.m2fp.types import Box, ByteArray, FloatArray, Size

if TYPE_CHECKING:
    from edge_worker.m2fp.configuration import InputConfig, ModelConfig

# Mean and standard deviation of ImageNet, RGB, 0–255.
_MEAN = (123.675, 116.28, 103.53)
_STD = (58.395, 57.12, 57.375)

# Every stage of the network halves the input; the coarsest has this stride.
SIZE_DIVISOR = 32

# Grey of the canvas around the frame in single-human models.
_CANVAS_GREY = 128


@dataclass(frozen=True)
class Geometry:
    """Where the frame lies in the network's input.

    Attributes:
        frame: size of the frame.
        padded: size of the input, multiples of 32.
        window: the part of the input that shows the frame.
    """

    frame: Size
    padded: Size
    window: Box


@dataclass(frozen=True, eq=False)
class NetInput:
    """A frame as the network takes it.

    Attributes:
        image: RGB uint8 h×w×3, resized (and set on its canvas), before normalisation and padding.
        tensor: float32 1×3×H×W, normalised, zeros below and right of the image.
        geometry: where the frame lies in it.
    """

    image: ByteArray
    tensor: FloatArray
    geometry: Geometry


def preprocess(image: ByteArray, config: ModelConfig, short_side: int | None = None) -> NetInput:
    """Turn a frame, RGB uint8 H×W×3, into the input of the network that *config* describes.

    *short_side* replaces a multi-human model's own (the limit of the long side follows in proportion);
    single-human models have a canvas of their own and ignore it.
    """
    frame = Size(image.shape[1], image.shape[0])
    if config.canvas is None:
        size = multi_human_size(frame, config.input, short_side)
        resized, window = _resize(image, size), Box(0, 0, *size)
    else:
        resized, window = _on_canvas(image, Size(*config.canvas))
    padded = padded_size(Size(resized.shape[1], resized.shape[0]))
    return NetInput(resized, normalise(resized, padded), Geometry(frame, padded, window))


def multi_human_size(frame: Size, limits: InputConfig, short_side: int | None = None) -> Size:
    """Size of a *frame* in the network: its shorter side is *short_side* unless the longer would pass its limit."""
    short_side = short_side or limits.short_side
    long_side = short_side * limits.max_side / limits.short_side
    width, height = (side * (short_side / min(frame)) for side in frame)
    shrink = min(1.0, long_side / max(width, height))  # a second factor, as published: the product rounds differently
    return Size(*(max(1, int(side * shrink + 0.5)) for side in (width, height)))


def padded_size(size: Size) -> Size:
    """*size* rounded up to multiples of 32."""
    return Size(*(-(-side // SIZE_DIVISOR) * SIZE_DIVISOR for side in size))


def normalise(image: ByteArray, padded: Size) -> FloatArray:
    """(x - mean) / std of RGB uint8 h×w×3 → float32 1×3×H×W of the size *padded*, zeros outside the image."""
    height, width = image.shape[:2]
    tensor = np.zeros((1, 3, padded.height, padded.width), np.float32)
    for channel, table in enumerate(_normalisation_tables()):
        tensor[0, channel, :height, :width] = cv2.LUT(image[:, :, channel], table)
    return tensor


@lru_cache(maxsize=1)
def _normalisation_tables() -> tuple[FloatArray, ...]:
    """For each channel the normalised value of each of the 256 that a byte can have."""
    values = np.arange(256, dtype=np.float32)
    return tuple((values - np.float32(mean)) / np.float32(std) for mean, std in zip(_MEAN, _STD, strict=True))


def _resize(image: ByteArray, size: Size) -> ByteArray:
    """Resize rows first, then columns, each rounded to bytes: older Pillows do so by themselves, 13 may not."""
    if image.shape[1] != size.width:
        image = _resize_once(image, Size(size.width, image.shape[0]))
    if image.shape[0] != size.height:
        image = _resize_once(image, size)
    return image


def _resize_once(image: ByteArray, size: Size) -> ByteArray:
    return np.asarray(Image.fromarray(image).resize(size, Image.Resampling.BILINEAR))


def _on_canvas(image: ByteArray, canvas: Size) -> tuple[ByteArray, Box]:
    """Shrink *image* to fit the *canvas* where it does not, never enlarge it, and centre it on grey."""
    size = _fit(Size(image.shape[1], image.shape[0]), canvas)
    window = Box((canvas.width - size.width) // 2, (canvas.height - size.height) // 2, *size)
    placed = np.full((canvas.height, canvas.width, 3), _CANVAS_GREY, np.uint8)
    placed[window.slices] = _resize(image, size)
    return placed, window


def _fit(frame: Size, canvas: Size) -> Size:
    """Size of *frame* inside *canvas*, as published.

    Its longer side becomes the canvas's if the other fits then, else the other does; what follows is truncated.
    """
    if _fits(frame, canvas):
        return frame
    by_width = Size(canvas.width, max(1, frame.height * canvas.width // frame.width))
    by_height = Size(max(1, frame.width * canvas.height // frame.height), canvas.height)
    first, second = (by_height, by_width) if frame.height > frame.width else (by_width, by_height)
    return first if _fits(first, canvas) else second


def _fits(size: Size, canvas: Size) -> bool:
    return size.width <= canvas.width and size.height <= canvas.height
