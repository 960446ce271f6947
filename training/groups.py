"""The 13 groups of classes for which metrics are reported, and their confusion matrix."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from training.labels import PARTS, SHOE_PARTS, SKIN_PARTS, Part

if TYPE_CHECKING:
    from pathlib import Path

GROUPS = (
    *("background", "hat", "hair", "sunglasses", "upper", "dress", "coat", "socks", "pants", "scarf", "skirt"),
    *("skin", "shoes"),
)
IGNORED_GROUP = 255
_GROUP_OF_PART = {
    Part.BACKGROUND: "background",
    Part.HAT: "hat",
    Part.HAIR: "hair",
    Part.SUNGLASSES: "sunglasses",
    Part.UPPER: "upper",
    Part.DRESS: "dress",
    Part.COAT: "coat",
    Part.SOCKS: "socks",
    Part.PANTS: "pants",
    Part.SCARF: "scarf",
    Part.SKIRT: "skirt",
    Part.GLOVE: "skin",
    **dict.fromkeys(SKIN_PARTS, "skin"),
    **dict.fromkeys(SHOE_PARTS, "shoes"),
}


def part_groups() -> npt.NDArray[np.uint8]:
    """Return the group index of each of the 20 classes, uint8 (256,); the person class and above are background."""
    table = np.zeros(256, dtype=np.uint8)
    for part in range(PARTS):
        table[part] = GROUPS.index(_GROUP_OF_PART[Part(part)])
    return table


def name_groups(data: Path) -> npt.NDArray[np.uint8]:
    """Return the group index of each of the data set's names, uint8 (256,); 255 for ignored names."""
    names = json.loads((data / "ccp/label_names.json").read_text(encoding="utf-8"))
    groups = json.loads((data / "groups.json").read_text(encoding="utf-8"))
    table = np.full(256, IGNORED_GROUP, dtype=np.uint8)
    for index, name in enumerate(names):
        group = next(group for group, members in groups.items() if name in members)
        table[index] = IGNORED_GROUP if group == "ignored" else GROUPS.index(group)
    return table


def confusion(
    truth: npt.NDArray[np.uint8], found: npt.NDArray[np.uint8], size: int = len(GROUPS)
) -> npt.NDArray[np.int64]:
    """Return the confusion matrix (size, size) of two index maps: rows truth, columns found; without ignored pixels."""
    counted = truth != IGNORED_GROUP
    pairs = truth[counted].astype(np.int64) * size + found[counted]
    counts = np.bincount(pairs, minlength=size**2).reshape(size, size)
    return np.asarray(counts, dtype=np.int64)


def ious(counts: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """Return the intersection over union of each group (13,); NaN for absent ones."""
    hits = np.diag(counts).astype(np.float64)
    union = counts.sum(axis=0) + counts.sum(axis=1) - hits
    return np.asarray(np.divide(hits, union, out=np.full(len(GROUPS), np.nan), where=union > 0))


def summary(counts: npt.NDArray[np.int64]) -> dict[str, float]:
    """Return mean IoU of the groups, foreground IoU and pixel accuracy."""
    inside = counts[1:, 1:].sum()
    return {
        "miou": float(np.nanmean(ious(counts))),
        "foreground_iou": float(inside / (counts.sum() - counts[0, 0])),
        "accuracy": float(np.diag(counts).sum() / counts.sum()),
    }
