"""Postprocessing exactly as in the SPEC, step by step on whole arrays in PyTorch: slow, but easy to compare with it."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edge_worker.m2fp.configuration import ModelConfig
    from edge_worker.m2fp.preprocess import Geometry
    from edge_worker.m2fp.types import Logits


class Found(NamedTuple):
    """An instance as published: label, score and mask (bool H×W)."""

    label: str
    score: float
    mask: NDArray[np.bool_]


class Answer(NamedTuple):
    """Label map uint8 H×W, its values (classes, H, W), and the instances."""

    label_map: NDArray[np.uint8]
    values: NDArray[np.float32]
    instances: list[Found]


def resize(x: Tensor, width: int, height: int) -> Tensor:
    return functional.interpolate(x[None], size=(height, width), mode="bilinear", align_corners=False)[0]


def crop(x: Tensor, geometry: Geometry) -> Tensor:
    rows, columns = geometry.window.slices
    return x[:, rows, columns]


def enlarged(masks: Tensor, geometry: Geometry) -> Tensor:
    """Resize mask logits (Q, h, w) to the frame as for multi-human models."""
    return resize(crop(resize(masks, *geometry.padded), geometry), *geometry.frame)


def answer(logits: Logits, geometry: Geometry, config: ModelConfig) -> Answer:
    """Return the published pipeline's output for *logits*."""
    masks = resize(torch.from_numpy(logits.mask_logits), *geometry.padded)
    probabilities = torch.from_numpy(logits.class_logits).softmax(-1)[:, :-1]
    read = parsing if config.parsing_on else semantic
    return read(masks, probabilities, geometry, config)


def parsing(masks: Tensor, probabilities: Tensor, geometry: Geometry, config: ModelConfig) -> Answer:
    masks = resize(crop(masks, geometry), *geometry.frame)
    assert config.num_parsing is not None
    queries, classes = probabilities.shape
    scores, chosen = probabilities.flatten().topk(min(100, queries * classes), sorted=False)
    instances, values = [], torch.zeros(config.num_parsing, *masks.shape[1:])
    collected: dict[int, list[Tensor]] = {}
    for class_score, index in zip(scores, chosen, strict=True):
        mask, class_id = masks[int(index) // classes], int(index) % classes
        positive = (mask > 0).float()
        score = class_score * (mask.sigmoid() * positive).sum() / (positive.sum() + 1e-6)
        is_person = class_id == config.num_parsing
        if (score > 0.1) if is_person else (class_id != 0 and score >= 0.1):
            instances.append(Found(config.classes[class_id], float(score), mask.numpy() > 0))
        if class_id < config.num_parsing and score >= config.parsing_ins_score_thr:
            collected.setdefault(class_id, []).append(mask.sigmoid() * score)
    for class_id, of_class in collected.items():
        stack = torch.stack(of_class)
        counts = (stack > 0.5).float()
        values[class_id] = (stack * counts).sum(0) / counts.sum(0).clamp(min=1)
    label_map = values.argmax(0) * (values.amax(0) > 0)
    return Answer(label_map.numpy().astype(np.uint8), values.numpy(), instances)


def semantic(masks: Tensor, probabilities: Tensor, geometry: Geometry, config: ModelConfig) -> Answer:
    values = torch.einsum("qc,qhw->chw", probabilities, masks.sigmoid())
    values = resize(crop(values, geometry), *geometry.frame)
    label_map = values.argmax(0)
    instances = []
    for class_id in np.unique(label_map.numpy()).tolist():
        mask = label_map == class_id
        score = (values[class_id].sigmoid() * mask).sum() / (mask.sum() + 1)
        instances.append(Found(config.classes[class_id], float(score), mask.numpy()))
    return Answer(label_map.numpy().astype(np.uint8), values.numpy(), instances)
