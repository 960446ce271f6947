"""The kinds of image that can be published for a frame: one descriptor for each.

A new kind is a section of the configuration (:mod:`edge_worker.config.output`), a descriptor here, and a painter in
:mod:`edge_worker.inference.painters`. Standard library only: the worker process imports this, too.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from edge_worker.config import OutputConfig

ImageFormat = Literal["palette-png", "rgb-png", "jpeg"]

CONTENT_TYPES: Final[Mapping[str, str]] = {"palette-png": "image/png", "rgb-png": "image/png", "jpeg": "image/jpeg"}


@dataclass(frozen=True, slots=True)
class ImageRequest:
    """Request for one kind of image. Hashable, because it is part of the cache key.

    Attributes:
        kind: name of an :class:`OutputKind`.
        format: encoding of the image.
        quality: of a JPEG, 1-100.
        alpha: weight of the class colours over the frame, 0-1, if the kind blends them.
        max_bytes: size limit of one encoded image, which is reduced until it fits, or left out. None: no limit.
    """

    kind: str
    format: ImageFormat = "jpeg"
    quality: int = 85
    alpha: float = 0.5
    max_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class OutputKind:
    """One kind of image.

    Attributes:
        name: the key below ``output``, and the name in files and log lines.
        summary: a sentence for the AsyncAPI document.
        request: makes the request from the section of the configuration.
        required: without it the reply is an error. Other kinds are reduced until the broker accepts them, or left out.
        per_person: one image per person, on a topic with ``{person}``; otherwise one per frame.
        of_pixels: shows the frame itself, which must then be decoded at full size.
    """

    name: str
    summary: str
    request: Callable[[OutputConfig], ImageRequest]
    required: bool = False
    per_person: bool = False
    of_pixels: bool = True


def _colormap(outputs: OutputConfig) -> ImageRequest:
    return ImageRequest("colormap", outputs.colormap.format, outputs.overlay.quality)


def _overlay(outputs: OutputConfig) -> ImageRequest:
    return ImageRequest("overlay", quality=outputs.overlay.quality, alpha=outputs.overlay.alpha)


def _crops(outputs: OutputConfig) -> ImageRequest:
    return ImageRequest("crops", quality=outputs.crops.quality)


OVERLAY: Final = "overlay"
"""The kind that commands turn on and off, and that a snapshot adds."""

KINDS: Final[Mapping[str, OutputKind]] = {
    kind.name: kind
    for kind in (
        OutputKind(OVERLAY, "The frame with the colours blended in; off by default.", _overlay),
        OutputKind("crops", "One person cut out of the frame by its box; off by default.", _crops, per_person=True),
        OutputKind(
            "colormap",
            "The label map: a PNG whose pixel value is the class index and whose palette holds the class colours.",
            _colormap,
            required=True,
            of_pixels=False,
        ),
    )
}
"""By name, in the order in which a frame's images are published; the labels follow them."""
