"""Agreement between the outputs of two variants: logits, label map, instances. Variants are processes: uses files."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from edge_worker.m2fp.quantisation.agreement import Agreement, agreement
from edge_worker.m2fp.types import Instance, Parsing, Region, Size

if TYPE_CHECKING:
    from pathlib import Path

    from edge_worker.imaging.arrays import RgbImage
    from edge_worker.m2fp.parser import Parser


def save_answer(file: Path, parser: Parser, image: RgbImage) -> None:
    """Write the part of the output for *image*, RGB uint8 H×W×3, that :func:`compare` needs."""
    net_input = parser.preprocess(image)
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
            scores=np.array([one.score for one in instances], np.float64),
            masks=np.packbits(masks, axis=-1),
        )


def compare(file: Path, reference: Path) -> dict[str, float | None]:
    """Compare an output with the reference's; both are files of :func:`save_answer`.

    Returns:
        ``pixels``: share of identical label map pixels. ``class_logits``, ``mask_logits``: largest difference.
        ``instance_iou``: as in :class:`edge_worker.m2fp.quantisation.agreement.Agreement`, over the reference's
        instances; None if it has none. ``candidate_iou``: over all its candidates.
    """
    with np.load(file) as mine, np.load(reference) as wanted:
        found = Agreement.over([agreement(_parsing(mine), _parsing(wanted))])
        return {
            "pixels": found.pixels,
            "class_logits": float(np.abs(mine["class_logits"] - wanted["class_logits"]).max()),
            "mask_logits": float(np.abs(mine["mask_logits"] - wanted["mask_logits"]).max()),
            "instance_iou": found.instance_iou if found.instances else None,
            "candidate_iou": found.candidate_iou,
        }


def _parsing(answer: Any) -> Parsing:  # noqa: ANN401 - an opened npz file
    """Return the output as far as the comparison needs it: without class names, and with persons among the parts."""
    label_map = answer["label_map"]
    frame = Size(label_map.shape[1], label_map.shape[0])
    masks = np.unpackbits(answer["masks"], axis=-1, count=frame.width).astype(np.bool_)
    instances = tuple(
        Instance("", int(class_id), float(score), Region.from_mask(mask, frame))
        for class_id, score, mask in zip(answer["classes"], answer["scores"], masks, strict=True)
    )
    return Parsing(label_map, instances, (), frame, ())
