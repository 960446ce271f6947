"""CVAT for images 1.1: one XML file with masks."""

from __future__ import annotations

import json
import shutil
import tempfile
from typing import IO, TYPE_CHECKING
from xml.etree import ElementTree as ET

import numpy as np

from edge_worker.tools.annotations.writer import Classes

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from edge_worker.m2fp.types import BoolArray
    from edge_worker.tools.annotations.results import ParsedImage, Segment


class Cvat:
    """``annotations.xml``, to upload to a task with the images, and ``labels.json``, for the task's raw labels."""

    def __init__(self, folder: Path) -> None:
        """Write into *folder*."""
        self._folder = folder
        self._images: IO[str] = tempfile.TemporaryFile("w+", encoding="utf-8")  # noqa: SIM115 - closed by close
        self._count, self._classes = 0, Classes()

    def add(self, image: ParsedImage) -> None:
        """Add an image."""
        self._classes.add(image)
        size = {"width": image.size.width, "height": image.size.height}
        element = ET.Element("image", _text({"id": self._count, "name": image.file_name, **size}))
        element.extend(map(_mask, image.segments))
        self._images.write(ET.tostring(element, "unicode") + "\n")
        self._count += 1

    def close(self) -> None:
        """Write both files."""
        looks = [{"name": name, "color": color} for _, name, color in self._classes.items()]
        labels = [{**look, "type": "mask", "attributes": []} for look in looks]
        raw_labels = json.dumps(labels, indent=1, ensure_ascii=False)
        (self._folder / "labels.json").write_text(raw_labels + "\n", encoding="utf-8")
        draft = self._folder / "annotations.xml.part"
        with draft.open("w", encoding="utf-8") as out, self._images:
            out.write('<?xml version="1.0" encoding="utf-8"?>\n<annotations>\n<version>1.1</version>\n')
            out.write(ET.tostring(_meta(self._count, looks), "unicode") + "\n")
            self._images.seek(0)
            shutil.copyfileobj(self._images, out)
            out.write("</annotations>\n")
        draft.replace(self._folder / "annotations.xml")


def _meta(count: int, looks: list[dict[str, str]]) -> ET.Element:
    """Return the task description that CVAT expects before the images."""
    meta = ET.Element("meta")
    task = ET.SubElement(meta, "task")
    for name, value in {"name": "edge-worker", "size": str(count), "mode": "annotation"}.items():
        ET.SubElement(task, name).text = value
    labels = ET.SubElement(task, "labels")
    for look in looks:
        label = ET.SubElement(labels, "label")
        for name, value in look.items():
            ET.SubElement(label, name).text = value
        ET.SubElement(label, "attributes")
    return meta


def _mask(segment: Segment) -> ET.Element:
    box = segment.box
    values = {
        "label": segment.name,
        "source": "auto",
        "occluded": 0,
        "rle": cvat_rle(segment.region.crop),
        "left": box.x,
        "top": box.y,
        "width": box.width,
        "height": box.height,
        "z_order": 0,
    }
    return ET.Element("mask", _text(values))


def _text(values: Mapping[str, object]) -> dict[str, str]:
    return {key: str(value) for key, value in values.items()}


def cvat_rle(crop: BoolArray) -> str:
    """Return run lengths, row by row, of background and mask in turn; the first may be 0."""
    flat = np.concatenate(([False], crop.reshape(-1)))
    edges = np.flatnonzero(flat[1:] != flat[:-1])
    return ", ".join(map(str, np.diff(edges, prepend=0, append=crop.size).tolist()))
