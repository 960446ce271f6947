"""What training.evaluate counts, on maps small enough to be counted by hand."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import cv2
import numpy as np
import pytest

pytest.importorskip("torch")

from edge_worker.m2fp.types import Parsing, Size
from training.groups import GROUPS
from training.labels import Part
from training.measure.context import Context
from training.measure.counts import Counts, corner_iou, count, mask_iou, match
from training.measure.photos import garment_patches
from training.measure.rendered import Tally, Truth, add_parts, add_persons, kinds_of, measure
from training.measure.steadiness import away_from_borders, changed_share
from training.sheet import Sheet

if TYPE_CHECKING:
    from pathlib import Path

    import numpy.typing as npt


def box_mask(x0: int, x1: int) -> npt.NDArray[np.bool_]:
    mask = np.zeros((20, 100), dtype=bool)
    mask[:, x0:x1] = True
    return mask


def test_a_person_is_found_once_and_a_second_mask_of_it_is_wrong() -> None:
    """Two masks of one person are one right and one wrong; who is overlapped too little is missed."""
    truths, found = [box_mask(0, 20), box_mask(40, 60)], [box_mask(0, 18), box_mask(0, 20), box_mask(55, 75)]
    assert match(truths, found, mask_iou) == ({0: 0}, [1, 2])
    counts = count(truths, found, mask_iou)
    assert (counts.right, counts.wrong, counts.missed) == (1, 2, 1)
    assert (counts.recall, counts.precision, counts.f1) == (0.5, 1 / 3, 0.4)


def test_nothing_to_find_and_nothing_found_is_no_division_by_zero() -> None:
    """Empty pictures count nothing."""
    counts = Counts()
    counts.add(count([], [], mask_iou))
    assert (counts.recall, counts.precision, counts.f1) == (0, 0, 0)


def test_iou_of_boxes_by_their_corners() -> None:
    """Half of each box in common is a third of both together; boxes apart have nothing in common."""
    assert corner_iou((0, 0, 10, 10), (5, 0, 15, 10)) == pytest.approx(1 / 3)
    assert corner_iou((0, 0, 10, 10), (20, 20, 30, 30)) == 0


def test_patches_of_a_garment_are_counted_from_a_tenth_of_it() -> None:
    """A dress shown as dress, coat and a tenth of skirt is in three patches; two stray pixels are none."""
    truth = np.full((10, 10), GROUPS.index("dress"), dtype=np.uint8)
    found = truth.copy()
    found[:4], found[4] = GROUPS.index("coat"), GROUPS.index("skirt")
    found[9, :2] = GROUPS.index("pants")
    assert garment_patches(truth, found) == [3]


def test_a_garment_not_shown_at_all_is_no_patches() -> None:
    """What is missed is counted elsewhere."""
    truth = np.full((10, 10), GROUPS.index("coat"), dtype=np.uint8)
    assert garment_patches(truth, np.zeros_like(truth)) == [0]


def test_kinds_of_a_rendered_person() -> None:
    """Seated, child, seen from behind and small are told by pose, age, shoulders and height."""
    joints: dict[str, list[float] | None] = {"upperarm01.L": [10.0, 5.0], "upperarm01.R": [30.0, 5.0]}
    person = {"pose": "sit01", "age": 0.2, "joints": joints}
    kinds = kinds_of({"cam_height": 3.5}, person, 70)
    assert kinds == {"all", "seated", "child", "from behind", "from above", "below 80 px"}
    joints["upperarm01.L"] = None
    assert "from behind" not in kinds_of({"cam_height": 3.5}, person, 70)
    assert "from behind" not in kinds_of({"cam_height": 3.5}, {**person, "joints": None}, 70)


def test_people_too_small_to_count_make_nobody_wrong() -> None:
    """Neither missing nor finding a tiny person changes the counts; a mask of nobody is wrong."""
    tally = Tally()
    tiny = Truth(box_mask(0, 5), frozenset({"all"}), counts=False)
    large = Truth(box_mask(40, 60), frozenset({"all", "seated"}), counts=True)
    assert add_persons(tally, [tiny, large], [box_mask(40, 60), box_mask(0, 12), box_mask(80, 90)])
    assert tally.persons["all"] == Counts(right=1, wrong=1, missed=0)
    assert tally.persons["seated"] == Counts(right=1)


def test_sides_of_limbs_are_decided_by_most_of_their_pixels() -> None:
    """A left arm mostly shown as left is right; a right arm mostly shown as left is not."""
    tally, classes = Tally(), np.zeros((20, 100), dtype=np.uint8)
    classes[:, 0:10], classes[:, 10:20] = Part.LEFT_ARM, Part.RIGHT_ARM
    found = classes.copy()
    found[:, 10:18] = Part.LEFT_ARM
    add_parts(tally, [Truth(box_mask(0, 20), frozenset({"all"}), counts=True)], classes, found)
    assert tally.sides == {"all": {True: 1, False: 1}}


def test_the_scenes_kept_aside_of_the_chosen_folder_are_measured(tmp_path: Path) -> None:
    """Scene 14 is kept aside, scene 12 is not; a person is found in neither."""
    person = {"id": 1, "bbox": [0, 0, 40, 40], "pose": "stand", "age": 0.5, "joints": None}
    lines = [json.dumps({"file": name, "cam_height": 2.0, "people": [person]}) for name in ("12", "14")]
    (tmp_path / "scenes_12_16.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    for name in ("12", "14"):
        cv2.imwrite(str(tmp_path / f"{name}.jpg"), np.zeros((40, 40, 3), np.uint8))
        cv2.imwrite(str(tmp_path / f"{name}.png"), np.full((40, 40), 25, np.uint8))
    nobody = Parsing(np.zeros((40, 40), np.uint8), (), (), Size(40, 40), ("Background", "Human"))
    parser = cast("Any", SimpleNamespace(parse=lambda _: nobody))

    figures = measure(Context(parser, tmp_path / "elsewhere", tmp_path, tmp_path, Sheet()))

    assert figures["rendered, all: persons"] == 1
    assert figures["rendered, all: recall"] == 0


def test_a_moved_person_of_the_same_parts_has_not_changed() -> None:
    """Parts that move with the picture are steady; a part that becomes another is not."""
    rng = np.random.default_rng(0)
    texture = rng.integers(0, 255, (30, 40, 3), dtype=np.uint8).repeat(4, axis=0).repeat(4, axis=1)
    label_map = np.zeros(texture.shape[:2], dtype=np.uint8)
    label_map[30:90, 40:120] = Part.COAT
    moved = [np.roll(one, 3, axis=1) for one in (texture, label_map)]
    assert changed_share([texture, moved[0]], [label_map, moved[1]]) == pytest.approx(0, abs=0.01)
    other = moved[1].copy()
    other[30:60][other[30:60] > 0] = Part.DRESS
    assert changed_share([texture, moved[0]], [label_map, other]) == pytest.approx(0.5, abs=0.1)


def test_without_a_person_steadiness_says_nothing() -> None:
    """A view in which nobody is seen does not count as steady."""
    empty = np.zeros((60, 80), dtype=np.uint8)
    image = np.zeros((60, 80, 3), dtype=np.uint8)
    assert changed_share([image, image], [empty, empty]) is None
    assert away_from_borders(empty).all()
