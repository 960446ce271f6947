"""Street photos: the 100 of validation.txt, at full size."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from rich.progress import track

from training.cache import read_rgb, read_values, validation_names
from training.groups import GROUPS, confusion, ious, name_groups, part_groups, summary

if TYPE_CHECKING:
    from training.measure.context import Context, Figures

Map = npt.NDArray[np.uint8]

GARMENTS = tuple(GROUPS.index(name) for name in ("upper", "dress", "coat", "pants", "skirt"))
_LEAST_GARMENT = 0.1  # of the person's pixels: smaller garments are not measured
_PATCH = 0.1  # of a garment's pixels predicted as any garment: minimum share of a class that counts as a patch


def measure(context: Context) -> Figures:
    """Measure IoUs of the 13 groups, foreground IoU, accuracy, hair predicted as hat, and patchy garments."""
    truth_table, part_table = name_groups(context.data), part_groups()
    counts = np.zeros((len(GROUPS), len(GROUPS)), dtype=np.int64)
    garments = patched = 0
    for name in track(sorted(validation_names()), "photos"):
        image = read_rgb(context.data / f"ccp/photos/{name}.jpg")
        indices = read_values(context.data / f"ccp/labels/{name}.png")
        parsing = context.parser.parse(image)
        truth, found = truth_table[indices], part_table[parsing.label_map]
        counts += confusion(truth, found)
        patches = garment_patches(truth, found)
        garments, patched = garments + len(patches), patched + sum(n >= 3 for n in patches)
        context.sheet.add("photos", image, parsing, failed=any(n >= 3 for n in patches))
    hair, hat = GROUPS.index("hair"), GROUPS.index("hat")
    return summary(counts) | {
        "hair pixels called hat": float(counts[hair, hat] / counts[hair].sum()),
        "garments in patches of three classes": patched / max(1, garments),
        **{f"iou {name}": float(v) for name, v in zip(GROUPS, ious(counts), strict=True)},
    }


def garment_patches(truth: Map, found: Map) -> list[int]:
    """Return the number of predicted garment classes in each large garment of a person, from group maps H×W.

    A class counts from a tenth of the garment's pixels that are predicted as any garment.
    """
    least = _LEAST_GARMENT * np.count_nonzero(truth)
    sizes = {garment: np.bincount(found[truth == garment], minlength=len(GROUPS)) for garment in GARMENTS}
    shown = [size[list(GARMENTS)] for size in sizes.values() if size.sum() >= max(1, least)]
    return [int(np.count_nonzero(one >= max(1, _PATCH * one.sum()))) for one in shown]
