"""Quick evaluation during training: the network in PyTorch on the validation photos.

The label map is the published semantic map (argmax of score × mask where that exceeds 0.5), at mask resolution;
`training.evaluate` measures the real pipeline.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from training.cache import Pack, validation_names
from training.groups import GROUPS, IGNORED_GROUP, confusion, ious, part_groups, summary
from training.labels import PARTS, PERSON_OTHER, SHOE, SKIN, Part
from training.model import normalise

if TYPE_CHECKING:
    from pathlib import Path

    from edge_worker.m2fp.network.transformer_decoder import Prediction

SHAPE = (480, 320)


def semantic_map(prediction: Prediction) -> npt.NDArray[np.uint8]:
    """Return the label map (B, h, w) of the part queries."""
    scores = prediction.class_logits.float().softmax(-1)[:, :PARTS, :PARTS].diagonal(dim1=1, dim2=2)
    probability = prediction.mask_logits[:, :PARTS].float().sigmoid()  # (B, 20, h, w)
    inside = probability > 0.5
    quality = (probability * inside).sum(dim=(2, 3)) / (inside.sum(dim=(2, 3)) + 1e-6)
    weighted = probability * (scores * quality)[..., None, None]
    best, index = torch.where(weighted > 0.5, weighted, 0.0).max(dim=1)
    return np.asarray(torch.where(best > 0, index, 0).to(torch.uint8))


def truth_groups() -> npt.NDArray[np.uint8]:
    """Return the group of each pixel value of the cached class maps."""
    table = part_groups()
    table[SKIN], table[SHOE] = table[Part.FACE], table[Part.LEFT_SHOE]
    table[PERSON_OTHER] = IGNORED_GROUP
    return table


@torch.no_grad()
def check(network: nn.Module, cache: Path) -> dict[str, float]:
    """Return the metrics on the validation photos, including each group's IoU by name."""
    photos, maps = Pack(cache / "photos.bin"), Pack(cache / "classes.bin")
    counts = np.zeros((len(GROUPS), len(GROUPS)), dtype=np.int64)
    groups, truth = part_groups(), truth_groups()
    for name in sorted(validation_names()):
        i = photos.names.index(name)
        prediction = network(normalise(_shaped(photos[i])))
        found = cv2.resize(groups[semantic_map(prediction)[0]], SHAPE[::-1], interpolation=cv2.INTER_NEAREST)
        label = cv2.resize(truth[maps[i]], SHAPE[::-1], interpolation=cv2.INTER_NEAREST)
        counts += confusion(np.asarray(label, dtype=np.uint8), np.asarray(found, dtype=np.uint8))
    return summary(counts) | dict(zip(GROUPS, ious(counts).tolist(), strict=True))


def _shaped(image: npt.NDArray[np.uint8]) -> Tensor:
    return torch.from_numpy(cv2.resize(image, SHAPE[::-1], interpolation=cv2.INTER_AREA))[None]
