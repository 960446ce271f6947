"""Postprocessing of multi-human models: candidates → parts, persons and label map.

Work is done on few masks and small parts of them: a mask's quality is at most 1, so a candidate whose class score is
under every threshold is dropped before its mask is enlarged; and a mask is enlarged only where it can be positive.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from edge_worker.m2fp.labels import BACKGROUND
from edge_worker.m2fp.resample import Enlargement, enlargement
from edge_worker.m2fp.types import Box, ByteArray, FloatArray, Instance, Parsing, Region, Size

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from edge_worker.m2fp.configuration import ModelConfig
    from edge_worker.m2fp.preprocess import Geometry

# Query and class pairs that become candidates: those of the highest class scores, as published.
_CANDIDATES = 100

# A part needs at least this score, a person more than this.
_INSTANCE_THRESHOLD = 0.1

# A candidate counts at a pixel of the label map where sigmoid × score exceeds this.
_PIXEL_THRESHOLD = 0.5

# Guards the division of the mask quality.
_EPSILON = 1e-6


class Candidate(NamedTuple):
    """A query taken for a class."""

    query: int
    class_id: int
    class_score: float


@dataclass(frozen=True, eq=False)
class QueryMask:
    """The enlarged mask of one query.

    Attributes:
        box: the part of the frame that can be positive; the others say nothing outside it.
        sigmoids: float32 box.height × box.width, 0 where the logit is not positive.
        quality: mean of the positive sigmoids, 0.5 to 1, or 0 where there are none.
    """

    box: Box
    sigmoids: FloatArray
    quality: float


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
        """Whether a candidate of this *score* is a part or a person of the answer."""
        if self.is_person(class_id):
            return score > _INSTANCE_THRESHOLD
        return class_id != BACKGROUND and score >= _INSTANCE_THRESHOLD

    def is_semantic(self, class_id: int, score: float) -> bool:
        """Whether a candidate of this *score* can count for the label map (a sigmoid is at most 1)."""
        below_human = self._human is not None and class_id < self._human
        return below_human and score >= self._semantic_threshold and score > _PIXEL_THRESHOLD

    def candidates(self, probabilities: FloatArray) -> Mapping[int, Sequence[Candidate]]:
        """Choose candidates from class probabilities (Q, classes); by query, for those of one query share a mask."""
        flat = probabilities.ravel()
        count = min(_CANDIDATES, flat.size)
        chosen: dict[int, list[Candidate]] = defaultdict(list)
        for index in np.argpartition(-flat, count - 1)[:count]:
            query, class_id = divmod(int(index), probabilities.shape[1])
            score = float(flat[index])
            if self.is_instance(class_id, score) or self.is_semantic(class_id, score):
                chosen[query].append(Candidate(query, class_id, score))
        return chosen


@dataclass(eq=False)
class _ClassMean:
    """Sum and number of the values of one class at each pixel of the frame, and where there are any.

    The arrays are of the whole frame, but pages that are never written take no memory.
    """

    sums: FloatArray
    counts: ByteArray
    left: int
    top: int
    right: int = 0
    bottom: int = 0

    @classmethod
    def of(cls, frame: Size) -> _ClassMean:
        shape = (frame.height, frame.width)
        return cls(np.zeros(shape, np.float32), np.zeros(shape, np.uint8), frame.width, frame.height)

    def add(self, box: Box, values: FloatArray) -> None:
        counts = values > _PIXEL_THRESHOLD
        self.sums[box.slices] += values * counts
        self.counts[box.slices] += counts
        self.left, self.top = min(self.left, box.x), min(self.top, box.y)
        self.right, self.bottom = max(self.right, box.x + box.width), max(self.bottom, box.y + box.height)

    def mean(self) -> tuple[tuple[slice, slice], FloatArray]:
        """Where the mean lies in the frame, and the mean."""
        place = slice(self.top, self.bottom), slice(self.left, self.right)
        return place, np.divide(self.sums[place], np.maximum(self.counts[place], 1), dtype=np.float32)


class SemanticMap:
    """The label map as it grows: per class, the mean of the candidates that exceed the threshold at a pixel."""

    def __init__(self, frame: Size) -> None:
        """Start empty."""
        self._frame = frame
        self._classes: dict[int, _ClassMean] = {}

    def add(self, class_id: int, score: float, mask: QueryMask) -> None:
        """Let a candidate of *class_id* count where sigmoid × *score* exceeds the threshold."""
        if class_id not in self._classes:
            self._classes[class_id] = _ClassMean.of(self._frame)
        self._classes[class_id].add(mask.box, mask.sigmoids * np.float32(score))

    def label_map(self) -> ByteArray:
        """The class of the highest mean at each pixel, uint8 H×W; background where no candidate counts."""
        best = np.zeros((self._frame.height, self._frame.width), np.float32)
        labels = np.full(best.shape, BACKGROUND, np.uint8)
        for class_id in sorted(self._classes):
            place, value = self._classes[class_id].mean()
            better = value > best[place]
            np.copyto(best[place], value, where=better)
            np.copyto(labels[place], np.uint8(class_id), where=better)
        return labels


def parse_instances(
    mask_logits: FloatArray, probabilities: FloatArray, geometry: Geometry, config: ModelConfig
) -> Parsing:
    """Read mask logits (Q, h, w) and class probabilities (Q, classes) as parts, persons and a label map."""
    rules, semantic = Rules(config), SemanticMap(geometry.frame)
    to_frame = enlargement(Size(mask_logits.shape[2], mask_logits.shape[1]), geometry)
    instances: list[Instance] = []
    for query, candidates in rules.candidates(probabilities).items():
        mask = query_mask(mask_logits[query], to_frame)
        if mask is not None:
            _add_to_map(semantic, candidates, mask, rules)
            instances += _instances(candidates, mask, rules, geometry.frame)
    instances.sort(key=lambda instance: -instance.score)
    return Parsing(
        label_map=semantic.label_map(),
        parts=tuple(one for one in instances if not rules.is_person(one.class_id)),
        persons=tuple(one for one in instances if rules.is_person(one.class_id)),
        image_size=geometry.frame,
        classes=config.classes,
    )


def query_mask(logits: FloatArray, to_frame: Enlargement) -> QueryMask | None:
    """Enlarge the logits (h, w) of one query where they can be positive; None where they can nowhere."""
    box = to_frame.positive_box(logits)
    if box is None:
        return None
    values = to_frame.enlarge(logits, box)
    positive = values > 0
    sigmoids = _sigmoid_of_positive(values, positive)
    quality = float(sigmoids.sum()) / (float(np.count_nonzero(positive)) + _EPSILON)
    return QueryMask(box, sigmoids, quality)


def _sigmoid_of_positive(values: FloatArray, positive: np.ndarray) -> FloatArray:
    """Sigmoid of *values* where *positive*, else 0; in place, for these are the largest arrays of all."""
    np.maximum(values, 0, out=values)  # exp cannot overflow
    np.negative(values, out=values)
    np.exp(values, out=values)
    values += 1
    np.reciprocal(values, out=values)
    values *= positive
    return values


def _add_to_map(semantic: SemanticMap, candidates: Sequence[Candidate], mask: QueryMask, rules: Rules) -> None:
    for candidate in candidates:
        score = candidate.class_score * mask.quality
        if rules.is_semantic(candidate.class_id, score):
            semantic.add(candidate.class_id, score, mask)


def _instances(candidates: Sequence[Candidate], mask: QueryMask, rules: Rules, frame: Size) -> list[Instance]:
    """The parts and persons among *candidates* of one query; they share a region."""
    scored = [(candidate.class_id, candidate.class_score * mask.quality) for candidate in candidates]
    kept = [(class_id, score) for class_id, score in scored if rules.is_instance(class_id, score)]
    if not kept:
        return []
    region = Region.from_mask(mask.sigmoids > 0, frame, x=mask.box.x, y=mask.box.y)
    return [Instance(rules.classes[class_id], class_id, score, region) for class_id, score in kept]
