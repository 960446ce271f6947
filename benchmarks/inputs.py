"""The network's input for a frame."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PIL import Image

from edge_worker.m2fp.preprocess import multi_human_size, padded_size
from edge_worker.m2fp.types import Size

if TYPE_CHECKING:
    from pathlib import Path

    from edge_worker.m2fp.configuration import ModelConfig


def input_shape(config: ModelConfig, frame: Path, short_side: int | None) -> tuple[int, int]:
    """Return height and width of the network's input for the image file *frame*."""
    if config.canvas is not None:
        padded = padded_size(Size(*config.canvas))
    else:
        with Image.open(frame) as image:
            padded = padded_size(multi_human_size(Size(*image.size), config.input, short_side))
    return padded.height, padded.width
