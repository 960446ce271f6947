"""Labels and persons of a parsing: disjoint masks, the parts inside each, and consistent pixel counts.

The model's candidates overlap and duplicate each other, and its label map does not separate persons. Here each pixel of
the label map belongs to at most one person: for every class, the pixels of all persons and of ``unassigned`` add up to
the pixels of the label.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from edge_worker.m2fp.class_names import BACKGROUND
from edge_worker.m2fp.postprocess.partition import NOBODY, Partition, Patch
from edge_worker.m2fp.types import BoolArray, Box, ByteArray, HasRegion, Instance, Parsing, Region

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

# A person of whom better ones leave no more than this share is a duplicate: a fringe is nobody.
_DUPLICATE_SHARE = 0.5
# A person is dropped if less than this share of what better ones leave has a label: most of these are things of a
# person's size, without hair or clothes.
_LEAST_LABELLED = 0.3

T = TypeVar("T")


@dataclass(frozen=True, eq=False)
class Part:
    """The pixels of one class inside a person.

    Attributes:
        label: name of the class.
        score: score of the best-matching candidate.
    """

    label: str
    score: float
    _patch: Patch
    _partition: Partition

    @property
    def class_id(self) -> int:
        """Index of the class."""
        return self._patch.class_id

    @property
    def box(self) -> Box:
        """Bounding box."""
        return self._patch.box

    @property
    def pixels(self) -> int:
        """Number of pixels."""
        return self._patch.pixels

    @property
    def region(self) -> Region:
        """The mask, cropped to the box; computed on each access, since it is rarely needed."""
        return self._partition.region(self._patch)

    @property
    def mask(self) -> BoolArray:
        """The mask at the size of the frame, bool H×W; computed on each access."""
        return self.region.mask


@dataclass(frozen=True, eq=False)
class Person(HasRegion):
    """One person: its pixels and the parts inside them.

    Attributes:
        number: index by score, 0 is the highest.
        score: score of its candidate.
        region: pixels not owned by a better person.
        parts: the label map inside the region, by class.
    """

    number: int
    score: float
    region: Region
    parts: tuple[Part, ...]


@dataclass(frozen=True)
class Label:
    """One class present in the label map.

    Attributes:
        score: score of its best part.
        box: bounding box of all its pixels.
        pixels: number of pixels; ``fraction`` is their share of the frame.
    """

    class_id: int
    name: str
    score: float
    box: Box
    pixels: int
    fraction: float


@dataclass(frozen=True)
class Unassigned:
    """Pixels of one class outside every person."""

    class_id: int
    name: str
    pixels: int


@dataclass(frozen=True, eq=False)
class Summary:
    """Labels and persons of one frame.

    Attributes:
        labels: present classes without background, largest first.
        persons: disjoint, highest score first.
        unassigned: pixels of the label map outside every person, by class.
    """

    labels: tuple[Label, ...]
    persons: tuple[Person, ...]
    unassigned: tuple[Unassigned, ...]


def summarize(parsing: Parsing, score_threshold: float | None = None) -> Summary:
    """Find labels and persons in *parsing*; person candidates below *score_threshold* are ignored."""
    candidates = _plausible(
        [one for one in parsing.persons if score_threshold is None or one.score >= score_threshold], parsing.label_map
    )
    partition = Partition([one.region for one in candidates], parsing.label_map)
    scores = _scores(parsing.parts, partition)
    left = [patch for patch in partition.patches if patch.rank == NOBODY and patch.class_id != BACKGROUND]
    return Summary(
        _labels(parsing, scores),
        tuple(_persons(parsing, candidates, partition, scores)),
        tuple(Unassigned(patch.class_id, parsing.classes[patch.class_id], patch.pixels) for patch in left),
    )


def overlap_ratio(shared: int, one: int, other: int) -> float:
    """Return the intersection over union from pixel counts; 0 if there are none."""
    either = one + other - shared
    return shared / either if either else 0.0


def _plausible(persons: Sequence[Instance], label_map: ByteArray) -> list[Instance]:
    """Sort by descending score; drop those of whom better ones leave too little, or too little with a label."""
    labelled = label_map != BACKGROUND
    owned = np.zeros_like(labelled)
    kept: list[Instance] = []
    for person in sorted(persons, key=lambda one: -one.score):
        place = owned[person.box.slices]
        own = person.region.crop > place
        left = np.count_nonzero(own)
        if left <= _DUPLICATE_SHARE * person.pixels:
            continue
        if np.count_nonzero(own & labelled[person.box.slices]) >= _LEAST_LABELLED * left:
            place |= person.region.crop
            kept.append(person)
    return kept


def _persons(
    parsing: Parsing, candidates: Sequence[Instance], partition: Partition, scores: Mapping[Patch, float]
) -> list[Person]:
    """Return the persons of the *candidates*, best first, each of which owns pixels."""
    by_rank = _grouped(partition.patches, lambda patch: patch.rank)
    persons: list[Person] = []
    for number, candidate in enumerate(candidates):
        patches = by_rank[len(candidates) - number]
        parts = tuple(
            Part(parsing.classes[patch.class_id], scores[patch], patch, partition)
            for patch in patches
            if patch.class_id != BACKGROUND
        )
        persons.append(Person(number, candidate.score, partition.owned(patches), parts))
    return persons


def _scores(parts: Sequence[Instance], partition: Partition) -> dict[Patch, float]:
    """Return for each patch except background the score of the candidate of its class with the best overlap."""
    candidates = _grouped(parts, lambda part: part.class_id)
    scores: dict[Patch, float] = {}
    for class_id, patches in _grouped(partition.patches, lambda patch: patch.class_id).items():
        if class_id != BACKGROUND:
            scores.update(zip(patches, _best_scores(candidates[class_id], patches, partition), strict=True))
    return scores


def _best_scores(candidates: Sequence[Instance], patches: Sequence[Patch], partition: Partition) -> list[float]:
    """Return the score of the best of the *candidates* for each of the *patches* of one class; 0 without any."""
    if len(candidates) <= 1:  # nothing to compare
        return [candidates[0].score if candidates else 0.0] * len(patches)
    shared = partition.shared([one.region for one in candidates], patches)

    def overlap(patch: int, candidate: int) -> float:
        return overlap_ratio(shared[candidate][patch], candidates[candidate].pixels, patches[patch].pixels)

    best = (max(range(len(candidates)), key=partial(overlap, patch)) for patch in range(len(patches)))
    return [candidates[index].score for index in best]


def _labels(parsing: Parsing, scores: Mapping[Patch, float]) -> tuple[Label, ...]:
    """Merge the patches of each class into one label, largest first."""
    labels = [
        Label(
            class_id=class_id,
            name=parsing.classes[class_id],
            score=max(scores[patch] for patch in patches),
            box=Box.around([patch.box for patch in patches]),
            pixels=(pixels := sum(patch.pixels for patch in patches)),
            fraction=pixels / parsing.label_map.size,
        )
        for class_id, patches in _grouped(scores, lambda patch: patch.class_id).items()
    ]
    return tuple(sorted(labels, key=lambda label: (-label.pixels, label.class_id)))


def _grouped(items: Iterable[T], key: Callable[[T], int]) -> defaultdict[int, list[T]]:
    """Group *items* by *key*, in order."""
    groups: defaultdict[int, list[T]] = defaultdict(list)
    for item in items:
        groups[key(item)].append(item)
    return groups
