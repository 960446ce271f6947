"""Shorthands for the output request and result of a frame."""

from __future__ import annotations

from typing import Any

from edge_worker.inference.outputs import ImageFormat, ImageRequest
from edge_worker.inference.types import EncodedImage, EncodedResult, OutputRequest


def output_request(
    *,
    colormap: ImageFormat | None = "palette-png",
    overlay: bool = False,
    crops: bool = False,
    quality: int = 85,
    alpha: float = 0.5,
    max_bytes: int | None = None,
    **others: Any,  # noqa: ANN401 - fields of OutputRequest
) -> OutputRequest:
    """Create an output request; ``colormap`` None: no map; *max_bytes*: limit of overlay and crops."""
    images = []
    if overlay:
        images.append(ImageRequest("overlay", quality=quality, alpha=alpha, max_bytes=max_bytes))
    if crops:
        images.append(ImageRequest("crops", quality=quality, max_bytes=max_bytes))
    if colormap:
        images.append(ImageRequest("colormap", colormap, quality))
    return OutputRequest(images=tuple(images), **others)


def encoded_result(  # noqa: PLR0917 - in the order of EncodedResult
    width: int,
    height: int,
    colormap: bytes | None,
    overlay: bytes | None,
    body: dict[str, Any],
    timings_ms: dict[str, float],
) -> EncodedResult:
    """Create a result with at most one image of each kind."""
    data = {"overlay": overlay, "colormap": colormap}
    images = tuple(EncodedImage(kind, file) for kind, file in data.items() if file is not None)
    return EncodedResult(width, height, images, body, timings_ms)
