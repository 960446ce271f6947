"""Rendered scenes as training pictures, on two scenes drawn here."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest

pytest.importorskip("torch")

from training.labels import IGNORED, PARTS, Part
from training.paste import Scene
from training.rendered import LEAST_HEIGHT, Rendered, build, descriptions, kept_aside, without_tiny

if TYPE_CHECKING:
    from pathlib import Path

SHAPE = (96, 160)


def person(number: int, box: tuple[int, int, int, int], pose: str = "stand") -> dict[str, object]:
    return {"id": number, "pose": pose, "bbox": box, "area": (box[2] - box[0]) * (box[3] - box[1])}


@pytest.fixture
def rendered(tmp_path: Path) -> Rendered:
    """One scene for training with a large person (left arm on its left) and a small one, and one that is kept aside."""
    values = np.zeros((144, 256), dtype=np.uint8)
    values[20:120, 60:90] = Part.LEFT_ARM + PARTS
    values[20:120, 90:120] = Part.UPPER + PARTS
    values[60:80, 200:210] = Part.COAT + 2 * PARTS
    people = [person(1, (60, 20, 120, 120)), person(2, (200, 60, 210, 80))]
    scenes = [{"file": "000002", "people": people}, {"file": "000004", "people": [person(1, (0, 0, 9, 9), "gym01")]}]
    for scene in scenes:
        cv2.imwrite(str(tmp_path / f"{scene['file']}.png"), values)
        cv2.imwrite(str(tmp_path / f"{scene['file']}.jpg"), np.repeat(values[..., None], 3, axis=2))
    (tmp_path / "persons.jsonl").write_text("\n".join(json.dumps(scene) for scene in scenes), encoding="utf-8")
    (tmp_path / "cache").mkdir()
    build([tmp_path], tmp_path / "cache")
    return Rendered(tmp_path / "cache")


def test_scenes_kept_aside_are_not_trained_on(rendered: Rendered) -> None:
    """A tenth of the numbers, and every scene with one of the poses that are kept."""
    assert len(rendered) == 1
    assert kept_aside({"file": "000014", "people": []})
    assert not kept_aside({"file": "000012", "people": [{"pose": "sit"}]})


def test_scenes_that_were_added_are_taken_up(rendered: Rendered, tmp_path: Path) -> None:
    """The next build has them too; a folder that is not there yet holds none."""
    assert len(rendered) == 1
    more = tmp_path / "more"
    build([tmp_path, more], tmp_path / "cache")
    assert len(Rendered(tmp_path / "cache")) == 1
    more.mkdir()
    for suffix in ("jpg", "png"):
        (more / f"000006.{suffix}").write_bytes((tmp_path / f"000002.{suffix}").read_bytes())
    line = json.dumps({"file": "000006", "people": [person(1, (60, 20, 120, 120))]})
    (more / "scenes_6_7.jsonl").write_text(line, encoding="utf-8")
    build([tmp_path, more], tmp_path / "cache")
    assert len(Rendered(tmp_path / "cache")) == 2


def test_a_seed_draws_the_same_scene(rendered: Rendered) -> None:
    """Picture, classes and persons follow from the generator alone, at the shape asked for."""
    one, other = (rendered.draw(np.random.default_rng(5), SHAPE) for _ in range(2))
    assert one.image.shape == (*SHAPE, 3)
    assert one.label_map.shape == one.persons.shape == SHAPE
    for name in ("image", "label_map", "persons"):
        assert (getattr(one, name) == getattr(other, name)).all()


def test_classes_and_persons_agree(rendered: Rendered) -> None:
    """Every pixel of a person has a class, every pixel of nobody is background or left out."""
    for seed in range(20):
        scene = rendered.draw(np.random.default_rng(seed), SHAPE)
        assert ((scene.label_map > 0) & (scene.label_map < PARTS) == (scene.persons > 0)).all()


def test_mirrored_scenes_have_the_sides_of_limbs_swapped(rendered: Rendered) -> None:
    """The arm that lies left of the body is a left arm, and a right one where it lies right of it."""
    seen = set()
    for seed in range(40):
        scene = rendered.draw(np.random.default_rng(seed), SHAPE)
        for arm in (Part.LEFT_ARM, Part.RIGHT_ARM):
            columns, body = (np.nonzero(scene.label_map == part)[1] for part in (arm, Part.UPPER))
            if columns.size and body.size:
                seen.add(arm)
                assert (columns.mean() < body.mean()) == (arm == Part.LEFT_ARM)
    assert seen == {Part.LEFT_ARM, Part.RIGHT_ARM}


def test_a_cut_out_holds_one_person_only(rendered: Rendered) -> None:
    """The only person large enough, with the classes of its pixels and background around."""
    image, label_map = rendered.cut_out(np.random.default_rng(0))
    assert image.shape[:2] == label_map.shape == (102, 62)
    assert set(np.unique(label_map)) == {Part.BACKGROUND, Part.LEFT_ARM, Part.UPPER}


def test_tiny_people_are_neither_taught_nor_denied() -> None:
    """Their pixels are left out of the losses; the others are numbered without a gap."""
    persons, labels = np.zeros((60, 60), dtype=np.uint8), np.zeros((60, 60), dtype=np.uint8)
    persons[: LEAST_HEIGHT - 1, :10], persons[:LEAST_HEIGHT, 20:30] = 1, 2
    labels[persons > 0] = Part.COAT
    scene = without_tiny(Scene(np.zeros((60, 60, 3), dtype=np.uint8), labels, persons))
    assert set(np.unique(scene.persons)) == {0, 1}
    assert (scene.label_map[persons == 1] == IGNORED).all()
    assert (scene.label_map[persons == 2] == Part.COAT).all()


def test_overlapping_descriptions_count_once(tmp_path: Path) -> None:
    """A number of scenes that is no multiple of the chunks' leaves two files of the same scenes."""
    for end in (2, 3):
        lines = [json.dumps({"file": str(number), "people": []}) for number in range(end)]
        (tmp_path / f"scenes_0_{end}.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    assert [scene["file"] for scene in descriptions(tmp_path)] == ["0", "1", "2"]
