"""COCO: instances with RLE masks, and panoptic segments."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from edge_worker.imaging.rle import rle
from edge_worker.tools.annotations.writer import SUBSET, Classes, JsonArray, write_json

if TYPE_CHECKING:
    from pathlib import Path

    from edge_worker.tools.annotations.results import ParsedImage


class Coco:
    """``annotations/instances_default.json``: one annotation per class in each person and outside all persons."""

    def __init__(self, folder: Path) -> None:
        """Write into *folder*."""
        self._file = folder / "annotations" / f"instances_{SUBSET}.json"
        self._file.parent.mkdir(exist_ok=True)
        self._images, self._annotations, self._classes = JsonArray(), JsonArray(), Classes()

    def add(self, image: ParsedImage) -> None:
        """Add an image."""
        self._classes.add(image)
        self._images.append(_image(self._images.length + 1, image))
        for segment in image.segments:
            annotation = {
                "id": self._annotations.length + 1,
                "image_id": self._images.length,
                "category_id": segment.class_id,
                "segmentation": rle(segment.region),
                "area": segment.pixels,
                "bbox": list(segment.box),
                "iscrowd": 0,
                "score": segment.score,
                "attributes": {} if segment.person is None else {"person": segment.person},
            }
            self._annotations.append(annotation)

    def close(self) -> None:
        """Write the JSON file."""
        values = {"images": self._images, "annotations": self._annotations, "categories": _categories(self._classes)}
        write_json(self._file, values)


class CocoPanoptic:
    """``annotations/panoptic_default.json``, and a PNG for each image whose colours are the segments' ids."""

    def __init__(self, folder: Path) -> None:
        """Write into *folder*."""
        self._file = folder / "annotations" / f"panoptic_{SUBSET}.json"
        self._maps = self._file.with_suffix("")
        self._maps.mkdir(parents=True, exist_ok=True)
        self._images, self._annotations, self._classes = JsonArray(), JsonArray(), Classes()

    def add(self, image: ParsedImage) -> None:
        """Add an image."""
        self._classes.add(image)
        number = self._images.length + 1
        self._images.append(_image(number, image))
        ids = np.zeros((image.size.height, image.size.width), np.uint32)
        segments: list[dict[str, Any]] = []
        for segment in image.segments:
            segments.append(
                {
                    "id": len(segments) + 1,
                    "category_id": segment.class_id,
                    "area": segment.pixels,
                    "bbox": list(segment.box),
                    "iscrowd": 0,
                }
            )
            ids[segment.box.slices][segment.region.crop] = len(segments)
        name = f"{number:06}.png"  # image names may differ only in their suffix
        Image.fromarray(np.stack([ids >> shift & 255 for shift in (0, 8, 16)], axis=-1).astype(np.uint8)).save(
            self._maps / name
        )
        self._annotations.append({"image_id": number, "file_name": name, "segments_info": segments})

    def close(self) -> None:
        """Write the JSON file."""
        categories = [{**category, "isthing": 1} for category in _categories(self._classes)]
        write_json(self._file, {"images": self._images, "annotations": self._annotations, "categories": categories})


def _image(number: int, image: ParsedImage) -> dict[str, Any]:
    return {"id": number, "file_name": image.file_name, "width": image.size.width, "height": image.size.height}


def _categories(classes: Classes) -> list[dict[str, Any]]:
    return [{"id": index, "name": name, "supercategory": "person"} for index, name, _ in classes.items()]
