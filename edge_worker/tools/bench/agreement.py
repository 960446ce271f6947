"""How near a variant's answer comes to another's: logits, label map, instances."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from pathlib import Path

    from edge_worker.arrays import Picture
    from edge_worker.m2fp.parser import Parser


@dataclass(frozen=True, slots=True)
class Agreement:
    """Of one answer with the reference's.

    Attributes:
        pixels: share of the label map's pixels that are the same.
        class_logits, mask_logits: largest difference.
        instance_iou: of each instance of the reference with the best of its class, the mean; None where it has none.
    """

    pixels: float
    class_logits: float
    mask_logits: float
    instance_iou: float | None


def save_answer(file: Path, parser: Parser, picture: Picture) -> None:
    """Write what :func:`compare` needs of the answer to *picture*, RGB uint8 H×W×3."""
    net_input = parser.preprocess(picture)
    logits = parser.infer(net_input)
    parsing = parser.postprocess(logits, net_input)
    instances = (*parsing.parts, *parsing.persons)
    height, width = parsing.label_map.shape
    masks = np.zeros((len(instances), height, width), np.bool_)
    for mask, instance in zip(masks, instances, strict=True):
        mask[instance.box.slices] = instance.region.crop
    with file.open("wb") as stream:
        np.savez(
            stream,
            class_logits=logits.class_logits,
            mask_logits=logits.mask_logits,
            label_map=parsing.label_map,
            classes=np.array([one.class_id for one in instances], np.int64),
            masks=np.packbits(masks, axis=-1),
        )


def compare(file: Path, reference: Path) -> Agreement:
    """Compare two files of :func:`save_answer`."""
    with np.load(file) as mine, np.load(reference) as wanted:
        return Agreement(
            pixels=float((mine["label_map"] == wanted["label_map"]).mean()),
            class_logits=float(np.abs(mine["class_logits"] - wanted["class_logits"]).max()),
            mask_logits=float(np.abs(mine["mask_logits"] - wanted["mask_logits"]).max()),
            instance_iou=_instance_iou(mine, wanted),
        )


def _instance_iou(mine: Any, wanted: Any) -> float | None:  # noqa: ANN401 - opened npz files
    masks, classes = mine["masks"], mine["classes"]
    best = [
        max((_iou(mask, other) for other in masks[classes == class_id]), default=0.0)
        for mask, class_id in zip(wanted["masks"], wanted["classes"], strict=True)
    ]
    return float(np.mean(best)) if best else None


def _iou(one: np.ndarray, other: np.ndarray) -> float:
    """Of two masks whose bits are packed; two empty ones are the same."""
    either = int(np.unpackbits(one | other).sum())
    return int(np.unpackbits(one & other).sum()) / either if either else 1.0
