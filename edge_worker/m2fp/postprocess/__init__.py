"""Postprocessing: query logits → label map, parts and persons. Shared by all engines.

As published, multi-human models (``parsing_on``) yield instances and a label map made of them; single-human models
(``semantic_on``) yield a label map only.
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
    """Interpret network output for a frame placed by *geometry*; *each* maps over independent pieces of work."""
    read = parse_instances if config.parsing_on else parse_semantics
    return read(logits.mask_logits, class_probabilities(logits.class_logits), geometry, config, each)


def class_probabilities(class_logits: FloatArray) -> FloatArray:
    """Return the softmax of (Q, classes + 1) without "no object": (Q, classes)."""
    shifted = np.exp(class_logits - class_logits.max(axis=1, keepdims=True))
    return np.asarray((shifted / shifted.sum(axis=1, keepdims=True))[:, :-1], np.float32)
