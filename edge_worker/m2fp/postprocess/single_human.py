"""Postprocessing of single-human models: a label map from the sum over all queries."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

from edge_worker.m2fp.postprocess.pixels import strips, update_best
from edge_worker.m2fp.postprocess.resample import Enlargement, padded_window
from edge_worker.m2fp.types import ByteArray, FloatArray, Instance, Parsing, Region, Size

if TYPE_CHECKING:
    from edge_worker.m2fp.configuration import ModelConfig
    from edge_worker.m2fp.parallel import Each
    from edge_worker.m2fp.preprocess import Geometry

# Values of upsampled masks (all queries) in memory at a time, per thread.
_BLOCK = 1 << 19


def parse_semantics(
    mask_logits: FloatArray, probabilities: FloatArray, geometry: Geometry, config: ModelConfig, each: Each
) -> Parsing:
    """Turn mask logits (Q, h, w) and class probabilities (Q, classes) into a label map and one part per class."""
    low = Size(mask_logits.shape[2], mask_logits.shape[1])
    values = semantic_values(mask_logits, probabilities, padded_window(low, geometry), each)
    labels, best = arg_max(values, geometry.frame)
    return Parsing(labels, _parts(labels, best, config.classes), (), geometry.frame, config.classes)


def semantic_values(mask_logits: FloatArray, probabilities: FloatArray, enlarge: Enlargement, each: Each) -> FloatArray:
    """Return Σ over queries of class probability × sigmoid(upsampled mask), float32 (classes, H, W).

    Where no query is confident, tiny sigmoids decide, so they must be accurate to the last digit.
    """
    height, width = enlarge.size
    down, across = slice(0, height), slice(0, width)
    top = enlarge.rows.support(down).start
    wide = np.stack(list(each(lambda logits: enlarge.widen(logits, down, across), mask_logits)))
    values = np.empty((probabilities.shape[1], height, width), np.float32)

    def fill(strip: slice) -> None:
        low = enlarge.rows.support(strip)
        block = enlarge.rows.matrix[strip, low] @ wide[:, low.start - top : low.stop - top]  # (Q, rows, W)
        weighted = probabilities.T @ _sigmoid(block).reshape(len(block), -1)  # (classes, rows·W)
        values[:, strip] = weighted.reshape(len(values), -1, width)

    list(each(fill, strips(0, height, len(wide) * width, _BLOCK)))
    return values


def arg_max(values: FloatArray, frame: Size) -> tuple[ByteArray, FloatArray]:
    """Resize *values* (classes, h, w) to *frame*; return the best class and its value at each pixel, both H×W."""
    best = np.full((frame.height, frame.width), -np.inf, np.float32)
    labels = np.zeros(best.shape, np.uint8)
    for class_id, plane in enumerate(values):
        update_best(labels, best, class_id, cv2.resize(plane, frame, interpolation=cv2.INTER_LINEAR))
    return labels, best


def _sigmoid(values: FloatArray) -> FloatArray:
    """Compute 1 / (1 + exp(-x)) in place; an overflowing exp correctly gives 0."""
    np.negative(values, out=values)
    with np.errstate(over="ignore"):
        np.exp(values, out=values)
    values += 1
    return np.reciprocal(values, out=values)


def _parts(labels: ByteArray, best: FloatArray, classes: tuple[str, ...]) -> tuple[Instance, ...]:
    """Return one instance per present class; its score is Σ sigmoid(value) / (pixels + 1), as published."""
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
