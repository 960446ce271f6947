"""Postprocessing of multi-human models: candidates → parts, persons and label map.

Few masks are upsampled, and only in part. A mask's quality is at most 1, so a candidate whose class score is below
every threshold is dropped first; masks are upsampled only where they can be positive. Upsampled values are not kept:
the label map, which depends on the quality, computes them again, which takes less time and memory.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from edge_worker.m2fp.class_names import BACKGROUND
from edge_worker.m2fp.postprocess.query_mask import query_masks
from edge_worker.m2fp.postprocess.resample import enlargement
from edge_worker.m2fp.postprocess.semantic_map import PIXEL_THRESHOLD, Vote, label_map
from edge_worker.m2fp.types import Instance, Parsing, Size

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from edge_worker.m2fp.configuration import ModelConfig
    from edge_worker.m2fp.parallel import Each
    from edge_worker.m2fp.postprocess.query_mask import QueryMask
    from edge_worker.m2fp.preprocess import Geometry
    from edge_worker.m2fp.types import FloatArray

# Number of (query, class) pairs, by highest class score, that become candidates, as published.
_CANDIDATES = 100

# Minimum score of a part; a person must exceed it.
_INSTANCE_THRESHOLD = 0.1


class Candidate(NamedTuple):
    """A class assigned to a query."""

    class_id: int
    class_score: float


class Rules:
    """Thresholds of one model that decide what a candidate becomes."""

    def __init__(self, config: ModelConfig) -> None:
        """Read the person class and the label map threshold from *config*."""
        self.classes = config.classes
        self._human = config.num_parsing
        self._semantic_threshold = config.parsing_ins_score_thr

    def is_person(self, class_id: int) -> bool:
        """Return whether *class_id* is the whole person."""
        return class_id == self._human

    def is_instance(self, class_id: int, score: float) -> bool:
        """Return whether a candidate with this *score* is a part or person of the result."""
        if self.is_person(class_id):
            return score > _INSTANCE_THRESHOLD
        return class_id != BACKGROUND and score >= _INSTANCE_THRESHOLD

    def is_semantic(self, class_id: int, score: float) -> bool:
        """Return whether a candidate with this *score* can vote for the label map (a sigmoid is at most 1)."""
        below_human = self._human is not None and class_id < self._human
        return below_human and score >= self._semantic_threshold and score > PIXEL_THRESHOLD

    def candidates(self, probabilities: FloatArray) -> Mapping[int, Sequence[Candidate]]:
        """Choose candidates from class probabilities (Q, classes), grouped by query, since a query has one mask."""
        flat = probabilities.ravel()
        count = min(_CANDIDATES, flat.size)
        chosen: dict[int, list[Candidate]] = defaultdict(list)
        best = np.argpartition(-flat, count - 1)[:count]
        for index in best[flat[best] >= _INSTANCE_THRESHOLD]:  # a vote needs an even higher score
            query, class_id = divmod(int(index), probabilities.shape[1])
            score = float(flat[index])
            if self.is_instance(class_id, score) or self.is_semantic(class_id, score):
                chosen[query].append(Candidate(class_id, score))
        return chosen


class Reading(NamedTuple):
    """Votes and instances of one query."""

    votes: Sequence[Vote]
    instances: Sequence[Instance]


def parse_instances(
    mask_logits: FloatArray, probabilities: FloatArray, geometry: Geometry, config: ModelConfig, each: Each
) -> Parsing:
    """Turn mask logits (Q, h, w) and class probabilities (Q, classes) into parts, persons and a label map."""
    rules = Rules(config)
    to_frame = enlargement(Size(mask_logits.shape[2], mask_logits.shape[1]), geometry)
    chosen = rules.candidates(probabilities)
    masks = query_masks([mask_logits[query] for query in chosen], to_frame, each)
    readings = [_read(mask, chosen[query], rules) for query, mask in zip(chosen, masks, strict=True) if mask]
    instances = sorted((one for reading in readings for one in reading.instances), key=lambda one: -one.score)
    return Parsing(
        label_map=label_map([vote for reading in readings for vote in reading.votes], to_frame, each),
        parts=tuple(one for one in instances if not rules.is_person(one.class_id)),
        persons=tuple(one for one in instances if rules.is_person(one.class_id)),
        image_size=geometry.frame,
        classes=config.classes,
    )


def _read(mask: QueryMask, candidates: Sequence[Candidate], rules: Rules) -> Reading:
    """Return the parts, persons and label map votes among the *candidates* of one query, which share its mask."""
    scored = [(candidate.class_id, candidate.class_score * mask.quality) for candidate in candidates]
    return Reading(
        [Vote(class_id, score, mask) for class_id, score in scored if rules.is_semantic(class_id, score)],
        [
            Instance(rules.classes[class_id], class_id, score, mask.region)
            for class_id, score in scored
            if rules.is_instance(class_id, score)
        ],
    )
