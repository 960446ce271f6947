"""A parsing told as persons: disjoint masks, the parts inside each, and sums that add up.

The model's candidates overlap and repeat each other, and its label map knows no persons. Here every pixel of the label
map belongs to one person or to none, so that for every class the pixels of all persons and of ``unassigned`` add up to
the label's.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np

from edge_worker.m2fp.labels import BACKGROUND
from edge_worker.m2fp.types import BoolArray, Box, Instance, Parsing, Region, Size

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

# A person that overlaps a better one by more than this is the same person found again.
_DUPLICATE_IOU = 0.8

_NOBODY = -1


@dataclass(frozen=True, eq=False)
class Person:
    """One person: its own pixels, and the label map inside them.

    Attributes:
        number: 0 is the highest score.
        score: of the candidate it comes from.
        region: what no better person has.
        parts: the label map inside the region, by class; the score of a part is that of the candidate that explains it
            best.
    """

    number: int
    score: float
    region: Region
    parts: tuple[Instance, ...]


@dataclass(frozen=True)
class Label:
    """One class that is present in the label map.

    Attributes:
        score: that of its best part.
        box: around all its pixels.
        pixels: how many; ``fraction`` of the frame.
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
class People:
    """A frame told as persons.

    Attributes:
        labels: present classes without background, the largest first.
        persons: disjoint, the highest score first.
        unassigned: what is left of the label map, by class.
    """

    labels: tuple[Label, ...]
    persons: tuple[Person, ...]
    unassigned: tuple[Unassigned, ...]


def find_people(parsing: Parsing, score_threshold: float | None = None) -> People:
    """Tell *parsing* as persons; candidates for persons under *score_threshold* are left out."""
    owner = np.full(parsing.label_map.shape, _NOBODY, np.int16)
    candidates = [one for one in parsing.persons if score_threshold is None or one.score >= score_threshold]
    persons: list[Person] = []
    for candidate in _without_duplicates(candidates):
        region = _claim(owner, candidate.region, len(persons))
        if region.pixels:
            parts = _parts_inside(parsing, region)
            persons.append(Person(len(persons), candidate.score, region, parts))
    left = list(_parts_inside(parsing, Region.from_mask(owner == _NOBODY, parsing.image_size)))
    labels = _labels(parsing, [part for person in persons for part in person.parts] + left)
    return People(labels, tuple(persons), tuple(Unassigned(one.class_id, one.label, one.region.pixels) for one in left))


def intersection_over_union(one: Region, other: Region) -> float:
    """Pixels in both over pixels in either; 0 where both are empty."""
    shared = _intersection(one, other)
    either = one.pixels + other.pixels - shared
    return shared / either if either else 0.0


def _intersection(one: Region, other: Region) -> int:
    left, top = max(one.box.x, other.box.x), max(one.box.y, other.box.y)
    right = min(one.box.x + one.box.width, other.box.x + other.box.width)
    bottom = min(one.box.y + one.box.height, other.box.y + other.box.height)
    if right <= left or bottom <= top:
        return 0
    common = Box(left, top, right - left, bottom - top)
    return int(np.count_nonzero(_within(one, common) & _within(other, common)))


def _within(region: Region, box: Box) -> BoolArray:
    """The part of a region's crop that lies in *box*, which its own box contains."""
    rows, columns = Box(box.x - region.box.x, box.y - region.box.y, box.width, box.height).slices
    return region.crop[rows, columns]


def _without_duplicates(persons: Sequence[Instance]) -> list[Instance]:
    """Best first, without those that overlap a better one too much."""
    kept: list[Instance] = []
    for person in sorted(persons, key=lambda one: -one.score):
        if not any(_is_duplicate(person.region, better.region) for better in kept):
            kept.append(person)
    return kept


def _is_duplicate(one: Region, other: Region) -> bool:
    smaller, larger = sorted((one.pixels, other.pixels))
    if smaller <= _DUPLICATE_IOU * larger:  # they cannot overlap by more than this
        return False
    return intersection_over_union(one, other) > _DUPLICATE_IOU


def _claim(owner: NDArray[np.int16], wanted: Region, number: int) -> Region:
    """Give the pixels of *wanted* that nobody has to person *number*; the region they make."""
    place = wanted.box.slices
    free = wanted.crop & (owner[place] == _NOBODY)
    owner[place][free] = number
    return Region.from_mask(free, wanted.frame, x=wanted.box.x, y=wanted.box.y)


def _parts_inside(parsing: Parsing, region: Region) -> tuple[Instance, ...]:
    """The label map inside *region*, a part for each class but background."""
    inside = np.where(region.crop, parsing.label_map[region.box.slices], np.uint8(BACKGROUND))
    counts = cv2.calcHist([inside], [0], None, [256], [0, 256]).ravel() if inside.size else np.zeros(1)
    counts[BACKGROUND] = 0
    return tuple(_part(parsing, region, inside, int(class_id)) for class_id in np.flatnonzero(counts))


def _part(parsing: Parsing, region: Region, inside: NDArray[np.uint8], class_id: int) -> Instance:
    own = Region.from_mask(inside == class_id, parsing.image_size, x=region.box.x, y=region.box.y)
    return Instance(parsing.classes[class_id], class_id, _score(parsing.parts, class_id, own), own)


def _score(candidates: Sequence[Instance], class_id: int, region: Region) -> float:
    """Score of the candidate of the class that overlaps *region* best."""
    of_class = [one for one in candidates if one.class_id == class_id]
    best = max(of_class, key=lambda one: intersection_over_union(one.region, region), default=None)
    return best.score if best else 0.0


def _labels(parsing: Parsing, parts: Sequence[Instance]) -> tuple[Label, ...]:
    by_class: dict[int, list[Instance]] = {}
    for part in parts:
        by_class.setdefault(part.class_id, []).append(part)
    labels = (_label(same, parsing.image_size) for same in by_class.values())
    return tuple(sorted(labels, key=lambda label: (-label.pixels, label.class_id)))


def _label(parts: Sequence[Instance], frame: Size) -> Label:
    """All *parts* of one class as one label."""
    pixels = sum(part.region.pixels for part in parts)
    return Label(
        class_id=parts[0].class_id,
        name=parts[0].label,
        score=max(part.score for part in parts),
        box=Box.around([part.box for part in parts]),
        pixels=pixels,
        fraction=pixels / (frame.width * frame.height),
    )
