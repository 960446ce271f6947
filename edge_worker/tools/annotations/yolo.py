"""YOLO segmentation: a text file of polygons per image. Holes are lost, and edges move by half a pixel."""

from __future__ import annotations

import json
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Final

import cv2
import numpy as np

from edge_worker.common.errors import EdgeWorkerError
from edge_worker.tools.annotations.writer import Classes

if TYPE_CHECKING:
    from collections.abc import Iterator

    from edge_worker.tools.annotations.results import ParsedImage, Segment

_CORNERS: Final = 3  # minimum of a polygon


class YoloSeg:
    """``labels/NAME.txt``, and ``data.yaml``; the images belong in ``images/`` beside it. A class's index is its id."""

    def __init__(self, folder: Path) -> None:
        """Write into *folder*."""
        self._folder = folder
        self._names: set[PurePath] = set()
        self._classes = Classes()

    def add(self, image: ParsedImage) -> None:
        """Add an image.

        Raises:
            EdgeWorkerError: another image's name differs only in the suffix, so YOLO would mix up their labels.
        """
        self._classes.add(image)
        name = PurePath(image.file_name).with_suffix(".txt")
        if name in self._names:
            raise EdgeWorkerError(f"another image has the labels {name}, too: rename {image.file_name} and parse again")
        self._names.add(name)
        file = self._folder / "labels" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("".join(line for segment in image.segments for line in _lines(segment)), encoding="utf-8")

    def close(self) -> None:
        """Write ``data.yaml``."""
        names = {index: name for index, name, _ in self._classes.items()}
        lines = [
            f"  {index}: {json.dumps(names.get(index, f'class {index}'))}" for index in range(max(names, default=0) + 1)
        ]
        text = "\n".join(("path: .", "train: images", "val: images", "names:", *lines))
        (self._folder / "data.yaml").write_text(text + "\n", encoding="utf-8")


def _lines(segment: Segment) -> Iterator[str]:
    """Yield a line per connected component: class, then x and y of each corner as fractions of the image size."""
    found, _ = cv2.findContours(segment.region.crop.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    corner = np.array([segment.box.x + 0.5, segment.box.y + 0.5])  # pixel centres
    for contour in found:
        if len(contour) >= _CORNERS:
            points = (contour.reshape(-1, 2) + corner) / np.array(segment.region.frame)
            yield " ".join([str(segment.class_id), *(f"{value:.6f}" for value in points.reshape(-1))]) + "\n"
