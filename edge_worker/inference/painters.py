"""Drawing and encoding of each kind of image in :mod:`edge_worker.inference.outputs`: one painter per kind."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from edge_worker.imaging.encoder import encode_jpeg_within, encode_png_palette, encode_rgb_png
from edge_worker.imaging.render import colorize, overlay

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from edge_worker.imaging.arrays import LabelMap, RgbImage
    from edge_worker.imaging.palette import Palette
    from edge_worker.inference.outputs import ImageRequest
    from edge_worker.inference.pipeline import Analysis


class Drawing(NamedTuple):
    """An image to encode: RGB uint8 H×W×3, or class indices uint8 H×W; *person* if it shows one."""

    pixels: RgbImage | LabelMap
    person: int | None = None


def _colormap(analysis: Analysis, palette: Palette, request: ImageRequest) -> Iterator[Drawing]:
    label_map = analysis.parsing.label_map
    yield Drawing(label_map if request.format == "palette-png" else colorize(label_map, palette))


def _overlay(analysis: Analysis, palette: Palette, request: ImageRequest) -> Iterator[Drawing]:
    persons = analysis.summary.persons
    yield Drawing(overlay(analysis.image, analysis.parsing.label_map, palette, persons, alpha=request.alpha))


def _crops(analysis: Analysis, palette: Palette, request: ImageRequest) -> Iterator[Drawing]:  # noqa: ARG001 - a painter
    for person in analysis.summary.persons:
        x, y, width, height = person.box
        yield Drawing(analysis.image[y : y + height, x : x + width], person.number)


PAINTERS: Final[Mapping[str, Callable[[Analysis, Palette, ImageRequest], Iterator[Drawing]]]] = {
    "colormap": _colormap,
    "overlay": _overlay,
    "crops": _crops,
}


def encode(drawing: Drawing, palette: Palette, request: ImageRequest) -> bytes | None:
    """Encode as requested; None if it does not fit into ``max_bytes``."""
    match request.format:
        case "palette-png":
            return encode_png_palette(drawing.pixels, palette)
        case "rgb-png":
            return encode_rgb_png(drawing.pixels)
    return encode_jpeg_within(drawing.pixels, request.quality, request.max_bytes)
