"""Masks as PNG files, in the layout of Pascal VOC, which CVAT calls "Segmentation mask 1.1"."""

from __future__ import annotations

from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Final

import numpy as np
from PIL import Image

from edge_worker.common.errors import EdgeWorkerError
from edge_worker.tools.annotations.writer import SUBSET, Classes

if TYPE_CHECKING:
    from edge_worker.tools.annotations.results import ParsedImage


_MAX_SEGMENTS: Final = 255


def _voc_color(index: int) -> tuple[int, int, int]:
    """Return Pascal VOC's colour of an object: bits of *index* go to red, green and blue in turn, high bits first."""
    red, green, blue = (
        sum((index >> (3 * place + channel) & 1) << (7 - place) for place in range(8)) for channel in range(3)
    )
    return red, green, blue


_PALETTE: Final = [value for index in range(_MAX_SEGMENTS + 1) for value in _voc_color(index)]


class MaskPng:
    """``SegmentationClass/NAME.png``, classes by the colours of ``labelmap.txt``; ``SegmentationObject/NAME.png``.

    In the latter, a pixel's value is the number of its segment, counted from 1, with VOC's palette.
    """

    def __init__(self, folder: Path) -> None:
        """Write into *folder*."""
        self._folder = folder
        self._names: dict[PurePath, None] = {}
        self._classes = Classes()

    def add(self, image: ParsedImage) -> None:
        """Add an image.

        Raises:
            EdgeWorkerError: another image's name differs only in the suffix, or there are more than 255 segments.
        """
        self._classes.add(image)
        name = PurePath(image.file_name).with_suffix("")
        if name in self._names:
            raise EdgeWorkerError(
                f"another image has the mask {name}.png, too: rename {image.file_name}, and parse again"
            )
        self._names[name] = None
        if len(image.segments) > _MAX_SEGMENTS:
            raise EdgeWorkerError(f"{image.file_name} has more than {_MAX_SEGMENTS} segments: use another format")
        colors = np.zeros((image.size.height, image.size.width, 3), np.uint8)
        numbers = np.zeros(colors.shape[:2], np.uint8)
        for number, segment in enumerate(image.segments, start=1):
            colors[segment.box.slices][segment.region.crop] = _rgb(segment.color)
            numbers[segment.box.slices][segment.region.crop] = number
        self._save("SegmentationClass", name, Image.fromarray(colors))
        objects = Image.fromarray(numbers, "P")
        objects.putpalette(_PALETTE)
        self._save("SegmentationObject", name, objects)

    def close(self) -> None:
        """Write ``labelmap.txt`` and the list of images."""
        lines = [f"{name}:{','.join(map(str, _rgb(color)))}::" for _, name, color in self._classes.items()]
        text = "\n".join(("# label:color_rgb:parts:actions", "background:0,0,0::", *lines))
        (self._folder / "labelmap.txt").write_text(text + "\n", encoding="utf-8")
        listing = self._folder / "ImageSets" / "Segmentation" / f"{SUBSET}.txt"
        listing.parent.mkdir(parents=True, exist_ok=True)
        listing.write_text("".join(f"{name}\n" for name in self._names), encoding="utf-8")

    def _save(self, kind: str, name: PurePath, image: Image.Image) -> None:
        file = self._folder / kind / f"{name}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        image.save(file)


def _rgb(color: str) -> tuple[int, int, int]:
    return int(color[1:3], 16), int(color[3:5], 16), int(color[5:7], 16)
