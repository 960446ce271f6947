"""Formats of images that can be read: the one list, for YAML and decoder."""

from typing import Final, Literal, get_args

ImageFormat = Literal["jpeg", "png", "webp", "bmp"]

IMAGE_FORMATS: Final[tuple[ImageFormat, ...]] = get_args(ImageFormat)
