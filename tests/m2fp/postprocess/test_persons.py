"""Persons are disjoint, their parts are the label map inside them, and everything adds up."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_worker.m2fp.class_names import CIHP_MULTI_HUMAN_CLASSES as CLASSES
from edge_worker.m2fp.postprocess.persons import summarize
from edge_worker.m2fp.types import Instance, Parsing, Region, Size

if TYPE_CHECKING:
    from numpy.typing import NDArray

HUMAN, HAIR, COAT, FACE = CLASSES.index("Human"), CLASSES.index("Hair"), CLASSES.index("Coat"), CLASSES.index("Face")


def rectangle(frame: Size, x: int, y: int, width: int, height: int) -> NDArray[np.bool_]:
    mask = np.zeros((frame.height, frame.width), np.bool_)
    mask[y : y + height, x : x + width] = True
    return mask


def instance(class_id: int, score: float, mask: NDArray[np.bool_]) -> Instance:
    frame = Size(mask.shape[1], mask.shape[0])
    return Instance(CLASSES[class_id], class_id, score, Region.from_mask(mask, frame))


def parsing(label_map: NDArray[np.uint8], parts: list[Instance], persons: list[Instance]) -> Parsing:
    size = Size(label_map.shape[1], label_map.shape[0])
    return Parsing(label_map, tuple(parts), tuple(persons), size, CLASSES)


@st.composite
def parsings(draw: st.DrawFn) -> Parsing:
    """Any label map with any candidates, overlapping as they like."""
    random = np.random.default_rng(draw(st.integers(0, 2**32)))
    frame = Size(draw(st.integers(1, 40)), draw(st.integers(1, 40)))
    label_map = random.choice([0, HAIR, COAT, FACE], (frame.height, frame.width)).astype(np.uint8)

    def some(class_ids: list[int], most: int) -> list[Instance]:
        masks = random.random((random.integers(0, most + 1), frame.height, frame.width)) < random.random()
        return [instance(int(random.choice(class_ids)), float(random.random()), mask) for mask in masks]

    return parsing(label_map, some([HAIR, COAT, FACE], 6), some([HUMAN], 5))


@settings(deadline=None)
@given(parsings())
def test_pixels_add_up(given_parsing: Parsing) -> None:
    """For every class the pixels of all persons and of unassigned are the label's, and those are the label map's."""
    summary = summarize(given_parsing)
    counts = np.bincount(given_parsing.label_map.ravel(), minlength=len(CLASSES))
    labels = {label.class_id: label for label in summary.labels}
    assert set(labels) == set(np.flatnonzero(counts)) - {0}
    for class_id, label in labels.items():
        of_persons = sum(
            part.region.pixels for one in summary.persons for part in one.parts if part.class_id == class_id
        )
        left = sum(one.pixels for one in summary.unassigned if one.class_id == class_id)
        assert of_persons + left == label.pixels == counts[class_id]
        assert label.fraction == label.pixels / given_parsing.label_map.size
        rows, columns = np.nonzero(given_parsing.label_map == class_id)
        around = columns.min(), rows.min(), np.ptp(columns) + 1, np.ptp(rows) + 1
        assert label.box == tuple(map(int, around))


@settings(deadline=None)
@given(parsings())
def test_persons_are_disjoint(given_parsing: Parsing) -> None:
    """No pixel has two owners; the parts of a person lie inside it and repeat the label map; best scores come first."""
    summary = summarize(given_parsing)
    owners = np.zeros(given_parsing.label_map.shape, int)
    for person in summary.persons:
        mask = person.region.mask
        owners += mask
        for part in person.parts:
            np.testing.assert_array_equal(part.region.mask, mask & (given_parsing.label_map == part.class_id))
    assert owners.max(initial=0) <= 1
    scores = [person.score for person in summary.persons]
    assert scores == sorted(scores, reverse=True)
    assert [person.number for person in summary.persons] == list(range(len(scores)))


def test_higher_score_wins_a_pixel() -> None:
    """Where two persons overlap the better one has the pixels."""
    frame = Size(10, 4)
    left, right = rectangle(frame, 0, 0, 6, 4), rectangle(frame, 4, 0, 6, 4)
    summary = summarize(
        parsing(np.full((4, 10), COAT, np.uint8), [], [instance(HUMAN, 0.6, left), instance(HUMAN, 0.9, right)])
    )
    assert [(person.score, person.region.box) for person in summary.persons] == [
        (0.9, (4, 0, 6, 4)),
        (0.6, (0, 0, 4, 4)),
    ]


def test_duplicates_are_dropped() -> None:
    """A person of whom better ones, together, leave half or less is a duplicate; it owns nothing."""
    frame = Size(10, 10)

    def kept(*masks: NDArray[np.bool_]) -> list[int]:
        scored = [instance(HUMAN, 0.9 - rank / 10, mask) for rank, mask in enumerate(masks)]
        return [person.pixels for person in summarize(parsing(np.full((10, 10), COAT, np.uint8), [], scored)).persons]

    left, right = rectangle(frame, 0, 0, 5, 10), rectangle(frame, 5, 0, 5, 10)
    assert kept(left, left) == [50]
    assert kept(left, left | right) == [50]
    assert kept(left, rectangle(frame, 1, 0, 9, 10)) == [50, 50]  # 50 of 90 pixels are left
    assert kept(left, right, rectangle(frame, 2, 0, 6, 10)) == [50, 50]  # covered by both together
    # What is dropped covers nobody: the last person keeps all of its pixels.
    assert kept(left, rectangle(frame, 0, 0, 8, 10), rectangle(frame, 5, 0, 4, 10)) == [50, 40]


def test_a_person_without_labels_is_dropped() -> None:
    """If less than 0.3 of the pixels that better persons leave have a label; what is dropped covers nobody."""
    frame = Size(10, 10)
    label_map = np.zeros((10, 10), np.uint8)
    label_map[0], label_map[1:3] = HAIR, COAT

    def kept(*masks: NDArray[np.bool_]) -> list[float]:
        scored = [instance(HUMAN, 0.9 - rank / 10, mask) for rank, mask in enumerate(masks)]
        return [person.score for person in summarize(parsing(label_map, [], scored)).persons]

    whole = rectangle(frame, 0, 0, 10, 10)
    assert kept(whole) == [0.9]  # 30 of 100 pixels
    assert kept(rectangle(frame, 0, 1, 10, 7)) == []  # 20 of 70
    assert kept(rectangle(frame, 0, 3, 10, 7), whole) == [0.8]
    assert kept(rectangle(frame, 0, 0, 5, 3), whole) == [0.9]  # 15 of the 85 that are left
    assert kept(rectangle(frame, 0, 0, 1, 10), whole) == [0.9, 0.8]  # 27 of the 90 that are left
    assert kept(rectangle(frame, 0, 0, 5, 10), rectangle(frame, 0, 1, 10, 4)) == [0.9]  # background has owners, too


def test_scores_of_parts_and_labels() -> None:
    """A part has the score of the candidate that overlaps it best, a label that of its best part."""
    frame = Size(10, 4)
    left, right = rectangle(frame, 0, 0, 5, 4), rectangle(frame, 5, 0, 5, 4)
    label_map = np.full((4, 10), COAT, np.uint8)
    summary = summarize(
        parsing(
            label_map,
            [instance(COAT, 0.55, left), instance(COAT, 0.75, right), instance(FACE, 0.99, left)],
            [instance(HUMAN, 0.9, left), instance(HUMAN, 0.8, right)],
        )
    )
    assert [[part.score for part in person.parts] for person in summary.persons] == [[0.55], [0.75]]
    assert [(label.name, label.score, label.pixels) for label in summary.labels] == [("Coat", 0.75, 40)]
    assert summary.unassigned == ()


def test_without_persons_all_is_unassigned() -> None:
    """Single-human models tell no persons apart: labels have the published score, and all pixels are unassigned."""
    label_map = np.array([[0, HAIR], [FACE, FACE]], np.uint8)
    parts = [
        instance(0, 0.7, label_map == 0),
        instance(HAIR, 0.61, label_map == HAIR),
        instance(FACE, 0.62, label_map == FACE),
    ]
    summary = summarize(parsing(label_map, parts, []))
    assert summary.persons == ()
    assert [(label.name, label.score, label.pixels) for label in summary.labels] == [
        ("Face", 0.62, 2),
        ("Hair", 0.61, 1),
    ]
    assert {(one.name, one.pixels) for one in summary.unassigned} == {("Face", 2), ("Hair", 1)}


def test_weak_persons_can_be_left_out() -> None:
    """A threshold leaves persons out; their pixels go to unassigned, the labels stay."""
    frame = Size(4, 4)
    label_map = np.full((4, 4), COAT, np.uint8)
    whole = rectangle(frame, 0, 0, 4, 4)
    found = parsing(label_map, [instance(COAT, 0.9, whole)], [instance(HUMAN, 0.4, whole)])
    assert len(summarize(found).persons) == 1
    summary = summarize(found, score_threshold=0.5)
    assert summary.persons == ()
    assert summary.unassigned[0].pixels == summary.labels[0].pixels == 16
