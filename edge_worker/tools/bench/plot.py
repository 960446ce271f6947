"""A bar chart of the variants' stages, drawn with Pillow."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from PIL import Image, ImageDraw, ImageFont

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

_WIDTH, _MARGIN, _BAR, _GAP = 1000, 20, 26, 40
_FONT_SIZE = 15
_INK, _PAPER = (34, 34, 34), (255, 255, 255)

# Stage → colour; ``pipeline`` is the published one, which does not report stages.
_COLOURS = {
    "decode": (158, 202, 225),
    "preprocess": (107, 174, 214),
    "inference": (33, 113, 181),
    "postprocess": (253, 141, 60),
    "render": (161, 217, 155),
    "encode": (65, 171, 93),
    "pipeline": (150, 150, 150),
}


def can_draw(file: Path) -> bool:
    """Return whether the suffix of *file* is of a format that :func:`plot` can write."""
    return Image.registered_extensions().get(file.suffix.lower()) in Image.SAVE


def plot(variants: Sequence[Mapping[str, Any]], file: Path) -> None:
    """Draw the median frame of each variant that ran, and write *file* in the format of its suffix."""
    shown = [variant for variant in variants if variant["stages_ms"]]
    longest = max((variant["stages_ms"]["total"]["median"] for variant in shown), default=1.0)
    height = 2 * _MARGIN + _GAP + len(shown) * (_BAR + _GAP)
    canvas = Image.new("RGB", (_WIDTH, height), _PAPER)
    draw = ImageDraw.Draw(canvas)
    font = ImageFont.load_default(_FONT_SIZE)
    scale = (_WIDTH - 2 * _MARGIN) / longest
    for index, variant in enumerate(shown):
        top = _MARGIN + index * (_BAR + _GAP)
        stages = variant["stages_ms"]
        draw.text((_MARGIN, top), f"{variant['variant']}: {stages['total']['median']:.0f} ms", fill=_INK, font=font)
        _bar(draw, stages, top + _FONT_SIZE + 6, scale)
    _legend(draw, height - _MARGIN - _BAR, font)
    canvas.save(file)


def _bar(draw: ImageDraw.ImageDraw, stages: Mapping[str, Any], top: int, scale: float) -> None:
    left = float(_MARGIN)
    for stage, colour in _COLOURS.items():
        if stage in stages:
            right = left + stages[stage]["median"] * scale
            draw.rectangle((left, top, right, top + _BAR), fill=colour)
            left = right


def _legend(draw: ImageDraw.ImageDraw, top: int, font: ImageFont.ImageFont | ImageFont.FreeTypeFont) -> None:
    left = _MARGIN
    for stage, colour in _COLOURS.items():
        draw.rectangle((left, top, left + _FONT_SIZE, top + _FONT_SIZE), fill=colour)
        draw.text((left + _FONT_SIZE + 6, top - 2), stage, fill=_INK, font=font)
        left += (_WIDTH - 2 * _MARGIN) // len(_COLOURS)
