"""Results in the format of ``parse --masks rle``, without a model."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
from images import encoded, figures
from PIL import Image

from edge_worker.imaging.rle import rle
from edge_worker.m2fp.types import Region, Size

if TYPE_CHECKING:
    from pathlib import Path

    from edge_worker.m2fp.types import BoolArray

WIDTH, HEIGHT = 160, 90
NAMES = ("a/x.jpg", "b/x.jpg", "y & <z>.png")
NOW = "2026-01-31T12:00:00Z"


def labels_of(label_map: np.ndarray[Any, Any], file: Path) -> dict[str, Any]:
    """Return the labels of *label_map* as from ``parse --masks rle``: the left half is a person with a hole."""
    size, person = Size(WIDTH, HEIGHT), np.zeros((HEIGHT, WIDTH), np.bool_)
    person[:, : WIDTH // 2] = label_map[:, : WIDTH // 2] > 0
    person[40:44, 20:60] = False
    classes = [int(index) for index in np.unique(label_map) if index]

    def part(index: int, mask: BoolArray) -> dict[str, Any]:
        region = Region.from_mask(mask, size)
        return {"id": index, "name": f"class-{index}", "score": 0.5, "box": [*region.box], "pixels": region.pixels}

    masks = {index: mask for index in classes if (mask := person & (label_map == index)).any()}
    inside = [{**part(index, mask), "rle": rle(Region.from_mask(mask, size))} for index, mask in masks.items()]
    outside = [part(index, ~person & (label_map == index)) for index in classes]
    whole = Region.from_mask(person, size)
    return {
        "schema": "edge-worker.labels/1",
        "node": "n",
        "camera": "file",
        "frame_id": str(file),
        "age_ms": 1,
        "received_at": NOW,
        "published_at": NOW,
        "redelivered": False,
        "cached": False,
        "timings_ms": {},
        "image": {"width": WIDTH, "height": HEIGHT},
        "model": {"name": "m", "sha256": "0" * 64, "engine": "openvino", "precision": "f32"},
        "labels": [
            {**part(index, label_map == index), "color": f"#0000{index:02x}", "fraction": 0.1} for index in classes
        ],
        "persons": [
            {"id": 0, "score": 0.9, "box": [*whole.box], "pixels": whole.pixels, "parts": inside, "rle": rle(whole)}
        ],
        "unassigned": [{key: rest[key] for key in ("id", "name", "pixels")} for rest in outside if rest["pixels"]],
    }


def write_results(folder: Path) -> None:
    """Write the results of three images with hostile names, without the images."""
    for number, name in enumerate(NAMES):
        label_map = figures(WIDTH, HEIGHT, count=2 + number)
        image = Image.fromarray(label_map, "P")
        image.putpalette([value for index in range(256) for value in (0, 0, index)])
        stem = name.replace("/", "-")
        (folder / f"{stem}.colormap.png").write_bytes(encoded(image, "PNG"))
        (folder / f"{stem}.labels.json").write_text(json.dumps(labels_of(label_map, folder / "photos" / name)))
