"""Postprocessing of multi-human models: candidates → parts, persons and label map.

Work is done on few masks and small parts of them: a mask's quality is at most 1, so a candidate whose class score is
under every threshold is dropped before its mask is enlarged; and a mask is enlarged only where it can be positive. What
was enlarged is not kept: for the label map, which depends on the quality, it is done again, in less time and memory.
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

# Query and class pairs that become candidates: those of the highest class scores, as published.
_CANDIDATES = 100

# A part needs at least this score, a person more than this.
_INSTANCE_THRESHOLD = 0.1


class Candidate(NamedTuple):
    """A class that a query is taken for."""

    class_id: int
    class_score: float


class Rules:
    """Which candidates become what; the thresholds of one model."""

    def __init__(self, config: ModelConfig) -> None:
        """Take the person class and the threshold of the label map from *config*."""
        self.classes = config.classes
        self._human = config.num_parsing
        self._semantic_threshold = config.parsing_ins_score_thr

    def is_person(self, class_id: int) -> bool:
        """Whether *class_id* is the whole person."""
        return class_id == self._human

    def is_instance(self, class_id: int, score: float) -> bool:
        """Whether a candidate of this *score* is a part or a person of the result."""
        if self.is_person(class_id):
            return score > _INSTANCE_THRESHOLD
        return class_id != BACKGROUND and score >= _INSTANCE_THRESHOLD

    def is_semantic(self, class_id: int, score: float) -> bool:
        """Whether a candidate of this *score* can count for the label map (a sigmoid is at most 1)."""
        below_human = self._human is not None and class_id < self._human
        return below_human and score >= self._semantic_threshold and score > PIXEL_THRESHOLD

    def candidates(self, probabilities: FloatArray) -> Mapping[int, Sequence[Candidate]]:
        """Choose candidates from class probabilities (Q, classes); by query, for those of one query share a mask."""
        flat = probabilities.ravel()
        count = min(_CANDIDATES, flat.size)
        chosen: dict[int, list[Candidate]] = defaultdict(list)
        for index in np.argpartition(-flat, count - 1)[:count]:
            query, class_id = divmod(int(index), probabilities.shape[1])
            score = float(flat[index])
            if self.is_instance(class_id, score) or self.is_semantic(class_id, score):
                chosen[query].append(Candidate(class_id, score))
        return chosen


class Reading(NamedTuple):
    """What one query comes to."""

    votes: Sequence[Vote]
    instances: Sequence[Instance]


def parse_instances(
    mask_logits: FloatArray, probabilities: FloatArray, geometry: Geometry, config: ModelConfig, each: Each
) -> Parsing:
    """Read mask logits (Q, h, w) and class probabilities (Q, classes) as parts, persons and a label map."""
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
    """The parts, persons and votes for the label map among *candidates* of one query; they share a mask."""
    scored = [(candidate.class_id, candidate.class_score * mask.quality) for candidate in candidates]
    return Reading(
        [Vote(class_id, score, mask) for class_id, score in scored if rules.is_semantic(class_id, score)],
        [
            Instance(rules.classes[class_id], class_id, score, mask.region)
            for class_id, score in scored
            if rules.is_instance(class_id, score)
        ],
    )
