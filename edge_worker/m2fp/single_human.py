"""Postprocessing of single-human models: a label map from the sum of all queries."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

from edge_worker.m2fp.resample import Enlargement, padded_window
from edge_worker.m2fp.types import ByteArray, FloatArray, Instance, Parsing, Region, Size

if TYPE_CHECKING:
    from edge_worker.m2fp.configuration import ModelConfig
    from edge_worker.m2fp.preprocess import Geometry

# Enlarged logits of all queries in memory at a time, floats: 16 MB stay in the cache's neighbourhood.
_BLOCK_FLOATS = 1 << 22


def parse_semantics(
    mask_logits: FloatArray, probabilities: FloatArray, geometry: Geometry, config: ModelConfig
) -> Parsing:
    """Read mask logits (Q, h, w) and class probabilities (Q, classes) as a label map, one part per present class."""
    low = Size(mask_logits.shape[2], mask_logits.shape[1])
    values = semantic_values(mask_logits, probabilities, padded_window(low, geometry))
    labels, best = arg_max(values, geometry.frame)
    return Parsing(labels, _parts(labels, best, config.classes), (), geometry.frame, config.classes)


def semantic_values(mask_logits: FloatArray, probabilities: FloatArray, enlarge: Enlargement) -> FloatArray:
    """Σ over queries of class probability × sigmoid(enlarged mask), float32 (classes, H, W); in blocks of rows."""
    rows, columns = enlarge.rows.matrix, enlarge.columns.matrix  # (H, h), (W, w)
    wide = mask_logits @ columns.T  # (Q, h, W)
    values = np.empty((probabilities.shape[1], len(rows), len(columns)), np.float32)
    step = max(1, _BLOCK_FLOATS // (len(wide) * len(columns)))
    for top in range(0, len(rows), step):
        block = rows[top : top + step] @ wide  # (Q, step, W)
        weighted = probabilities.T @ _sigmoid(block).reshape(len(block), -1)  # (classes, step·W)
        values[:, top : top + step] = weighted.reshape(len(values), -1, len(columns))
    return values


def arg_max(values: FloatArray, frame: Size) -> tuple[ByteArray, FloatArray]:
    """Resize *values* (classes, h, w) to the *frame*; the best class and its value at each pixel, both H×W."""
    best = np.full((frame.height, frame.width), -np.inf, np.float32)
    labels = np.zeros(best.shape, np.uint8)
    for class_id, plane in enumerate(values):
        value = cv2.resize(plane, frame, interpolation=cv2.INTER_LINEAR)
        better = value > best
        np.copyto(labels, np.uint8(class_id), where=better)
        np.maximum(best, value, out=best)
    return labels, best


def _sigmoid(values: FloatArray) -> FloatArray:
    """1 / (1 + exp(-x)), in place; exp of what would overflow gives 0 as it should."""
    np.negative(values, out=values)
    with np.errstate(over="ignore"):
        np.exp(values, out=values)
    values += 1
    return np.reciprocal(values, out=values)


def _parts(labels: ByteArray, best: FloatArray, classes: tuple[str, ...]) -> tuple[Instance, ...]:
    """One instance per present class; its score is the published Σ sigmoid(value) / (pixels + 1)."""
    sums = np.bincount(labels.ravel(), weights=_sigmoid(best).ravel(), minlength=len(classes))
    counts = np.bincount(labels.ravel(), minlength=len(classes))
    frame = Size(labels.shape[1], labels.shape[0])
    return tuple(
        Instance(
            classes[class_id],
            int(class_id),
            float(sums[class_id] / (counts[class_id] + 1)),
            Region.from_mask(labels == class_id, frame),
        )
        for class_id in np.flatnonzero(counts)
    )
