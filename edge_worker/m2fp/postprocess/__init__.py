"""Logits of the queries → label map, parts and persons. One for all engines.

A model's output is interpreted in one of two ways, as published: multi-human models (``parsing_on``) give instances and
a label map made of them; single-human models (``semantic_on``) give a label map alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from edge_worker.m2fp.parallel import Each, one_by_one
from edge_worker.m2fp.postprocess.multi_human import parse_instances
from edge_worker.m2fp.postprocess.single_human import parse_semantics

if TYPE_CHECKING:
    from edge_worker.m2fp.configuration import ModelConfig
    from edge_worker.m2fp.preprocess import Geometry
    from edge_worker.m2fp.types import FloatArray, Logits, Parsing


def postprocess(logits: Logits, geometry: Geometry, config: ModelConfig, each: Each = one_by_one) -> Parsing:
    """Interpret the output of a network, given how the frame lay in its input; *each* maps over pieces of the work."""
    read = parse_instances if config.parsing_on else parse_semantics
    return read(logits.mask_logits, class_probabilities(logits.class_logits), geometry, config, each)


def class_probabilities(class_logits: FloatArray) -> FloatArray:
    """Softmax of (Q, classes + 1), "no object" dropped: (Q, classes)."""
    shifted = np.exp(class_logits - class_logits.max(axis=1, keepdims=True))
    return np.asarray((shifted / shifted.sum(axis=1, keepdims=True))[:, :-1], np.float32)
