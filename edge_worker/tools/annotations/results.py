"""The folder that ``parse`` writes, read back one image at a time."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
from PIL import Image
from pycocotools import mask as coco
from pydantic import ValidationError

from edge_worker.common.errors import EdgeWorkerError
from edge_worker.m2fp.types import BoolArray, Box, ByteArray, HasRegion, Region, Size
from edge_worker.messages import LabelsMessage, PersonMessage

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path


_LABELS: Final = ".labels.json"


@dataclass(frozen=True, eq=False)
class Segment(HasRegion):
    """The pixels of one class inside one person, or outside all of them (``person`` is None). Segments are disjoint."""

    class_id: int
    name: str
    color: str
    score: float
    person: int | None
    region: Region


@dataclass(frozen=True, eq=False)
class ParsedImage:
    """One image's results.

    Attributes:
        file_name: path of the image, relative to the common folder of all images of these results.
        folder: name of that folder.
        size: size of the image as displayed.
        label_map: uint8 H×W, class indices.
        segments: segments of all classes except background.
    """

    file_name: str
    folder: str
    size: Size
    label_map: ByteArray
    segments: tuple[Segment, ...]


class Results:
    """The results in one folder."""

    def __init__(self, folder: Path) -> None:
        """List the results.

        Raises:
            EdgeWorkerError: there are none.
        """
        self.files = sorted(folder.glob(f"*{_LABELS}"))
        if not self.files:
            raise EdgeWorkerError(f"{folder}: no *{_LABELS} there; export takes the folder that parse wrote")
        self._root = _common_folder(self.files)

    def read(self, labels_file: Path) -> ParsedImage:
        """Read one image's results.

        Raises:
            EdgeWorkerError: they are damaged, or lack what an export needs; the message says what to do.
            OSError: the labels cannot be read.
        """
        labels = _labels(labels_file)
        size = Size(labels.image.width, labels.image.height)
        label_map = _label_map(labels_file.with_name(labels_file.name.replace(_LABELS, ".colormap.png")), size)
        try:
            segments = tuple(_segments(labels, label_map, size))
        except (ValueError, TypeError, LookupError) as error:
            raise EdgeWorkerError(f"{labels_file}: its run lengths or boxes do not fit the image: {error}") from error
        file_name, folder = os.path.relpath(_image(labels), self._root), os.path.basename(self._root)  # noqa: PTH119 - a str
        return ParsedImage(file_name, folder, size, label_map, segments)


def _labels(file: Path) -> LabelsMessage:
    try:
        labels = LabelsMessage.model_validate_json(file.read_bytes())
    except ValidationError as error:
        raise EdgeWorkerError(f"{file}: not the labels of an image: {error.errors()[0]['msg']}") from error
    if any(person.rle is None for person in labels.persons):
        raise EdgeWorkerError(f"{file}: persons without masks; parse again with --masks rle --overwrite")
    return labels


def _image(labels: LabelsMessage) -> str:
    """Return the path of the image, which ``parse`` uses as the frame id; ``..`` is resolved."""
    return os.path.abspath(labels.frame_id)  # noqa: PTH100 - Path.absolute keeps ".."


def _common_folder(files: Sequence[Path]) -> str:
    """Return the folder that contains all images; only two paths are in memory at a time."""
    common = ""
    for file in files:
        try:
            folder = os.path.dirname(_image(LabelsMessage.model_validate_json(file.read_bytes())))  # noqa: PTH120
        except (ValidationError, OSError):
            continue  # reported when it is read
        common = os.path.commonpath([common, folder]) if common else folder
    return common or os.sep


def _label_map(file: Path, size: Size) -> ByteArray:
    try:
        with Image.open(file) as image:
            if image.mode != "P" or image.size != size:
                raise EdgeWorkerError(f"{file}: not the label map; parse with output.colormap.format palette-png")
            return np.array(image)
    except FileNotFoundError as error:
        raise EdgeWorkerError(f"{file}: not there; parse with output.colormap.enabled") from error
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:  # Pillow raises any of these
        raise EdgeWorkerError(f"{file}: cannot be read: {error}") from error


def _segments(labels: LabelsMessage, label_map: ByteArray, size: Size) -> Iterator[Segment]:
    looks = {label.id: label for label in labels.labels}
    free = np.ones(label_map.shape, np.bool_)
    for person in labels.persons:
        mask = _mask(person, size)
        free &= ~mask
        for part in person.parts:
            box = Box(*part.box)
            inside = mask[box.slices] & (label_map[box.slices] == part.id)
            region = Region.from_mask(inside, size, x=box.x, y=box.y)
            if region.pixels:
                yield Segment(part.id, part.name, looks[part.id].color, part.score, person.id, region)
    for rest in labels.unassigned:
        label = looks[rest.id]
        region = Region.from_mask(free & (label_map == rest.id), size)
        if region.pixels:
            yield Segment(rest.id, rest.name, label.color, label.score, None, region)


def _mask(person: PersonMessage, size: Size) -> BoolArray:
    rle = person.rle
    if rle is None or rle.size != (size.height, size.width):
        raise ValueError(f"the mask of person {person.id} is of another size")
    return np.asarray(coco.decode({"size": list(rle.size), "counts": rle.counts}), np.bool_)
