"""Image formats that can be read, and limits on images: the only list, for YAML, model process and decoder."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, get_args

if TYPE_CHECKING:
    from collections.abc import Collection

ImageFormat = Literal["jpeg", "png", "webp", "bmp"]

IMAGE_FORMATS: Final[tuple[ImageFormat, ...]] = get_args(ImageFormat)


@dataclass(frozen=True, slots=True)
class DecodeLimits:
    """Limits of accepted images: bytes of the payload, width × height, formats."""

    max_payload_bytes: int
    max_pixels: int
    formats: Collection[str]
