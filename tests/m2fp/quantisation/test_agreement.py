"""How near one parsing comes to another."""

from __future__ import annotations

import numpy as np
import pytest

from edge_worker.m2fp.quantisation.agreement import Agreement, FrameAgreement, Match, agreement
from edge_worker.m2fp.types import Instance, Parsing, Region, Size

FRAME = Size(10, 4)
CLASSES = ("Background", "Hat", "Coat", "Human")


def instance(class_id: int, score: float, columns: slice) -> Instance:
    mask = np.zeros((4, 10), np.bool_)
    mask[:, columns] = True
    return Instance(CLASSES[class_id], class_id, score, Region.from_mask(mask, FRAME))


def parsing(*instances: Instance, changed: int = 0) -> Parsing:
    label_map = np.zeros((4, 10), np.uint8)
    label_map.flat[:changed] = 1
    parts = tuple(one for one in instances if one.label != "Human")
    persons = tuple(one for one in instances if one.label == "Human")
    return Parsing(label_map, parts, persons, FRAME, CLASSES)


def test_a_frame() -> None:
    """Pixels that are the same; each instance of either with the best of its class in the other, whatever the score."""
    reference = parsing(instance(1, 0.9, slice(4)), instance(2, 0.2, slice(4, 8)), instance(3, 0.6, slice(8)))
    other = parsing(instance(1, 0.9, slice(2)), instance(1, 0.1, slice(3)), instance(3, 0.3, slice(8)), changed=1)
    found = agreement(other, reference)
    assert found.pixels == 39 / 40
    assert found.matches == (Match(0.9, 0.75), Match(0.2, 0.0), Match(0.6, 1.0))
    assert found.counter_matches == (Match(0.9, 0.5), Match(0.1, 0.75), Match(0.3, 1.0))


def test_many_frames() -> None:
    """Means over frames and instances of both; what scores under 0.5 is a candidate, and no instance."""
    first = FrameAgreement(1.0, (Match(0.9, 1.0), Match(0.4, 0.1)), (Match(0.8, 0.6), Match(0.3, 0.1)))
    found = Agreement.over([first, FrameAgreement(0.9, (Match(0.5, 0.8),), ())])
    assert (found.frames, found.pixels, found.worst) == (2, 0.95, 0.9)
    assert found.instances == 2
    assert found.instance_iou == pytest.approx(0.8)
    assert found.candidate_iou == pytest.approx(2.6 / 5)
    assert "95.00% of label-map pixels (90.00% on the worst frame), instance IoU 0.800" in str(found)


def test_what_was_made_up_counts() -> None:
    """A person that only the compared parsing has is as much of a difference as one that it has not."""
    person = instance(3, 0.9, slice(4))
    assert Agreement.over([agreement(parsing(person), parsing())]).instance_iou == 0.0
    assert Agreement.over([agreement(parsing(), parsing(person))]).instance_iou == 0.0


def test_frames_without_people_agree() -> None:
    """Where the reference has no instances there is nothing to miss; a mask without a pixel is none."""
    empty = parsing(instance(1, 0.9, slice(0)))
    assert Agreement.over([agreement(parsing(), empty)]).instance_iou == 1.0
