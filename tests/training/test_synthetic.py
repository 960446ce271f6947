"""Rendered people: the same number gives the same scene, and labels, persons and description agree."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("scipy")
moderngl = pytest.importorskip("moderngl")

from training.labels import PARTS, Part
from training.rendered import KEPT_POSES
from training.synthetic.__main__ import write
from training.synthetic.assets import Entry, Pack, PackError, read_manifest
from training.synthetic.body import Body, Build
from training.synthetic.geometry import Array, direction, rotation, shortest_turn
from training.synthetic.poses import Poser
from training.synthetic.renderer import NoContextError
from training.synthetic.scene import RETRY, Scene, Studio
from training.synthetic.skeleton import forward

PACK = Path(__file__).parents[3] / "shared/tools/synthetic/pack"
NUMBER = 300007  # an office with five people


@pytest.fixture(scope="module")
def studio() -> Studio:
    """One renderer for all tests."""
    if not PACK.is_dir():
        pytest.skip("the asset pack is not part of the repository")
    try:
        return Studio(Pack(PACK))
    except NoContextError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def scene(studio: Studio) -> Scene:
    """The scene of NUMBER."""
    return studio.scene(NUMBER)


def test_a_number_gives_the_same_scene(studio: Studio, scene: Scene) -> None:
    """Picture, labels and description, bit for bit, in the same environment."""
    again = studio.scene(NUMBER)
    assert (again.picture == scene.picture).all()
    assert (again.labels == scene.labels).all()
    assert again.description == scene.description


def test_another_number_gives_another_scene(studio: Studio, scene: Scene) -> None:
    """Neighbouring numbers have nothing in common."""
    assert studio.scene(NUMBER + 1).description["people"] != scene.description["people"]


def test_labels_are_classes_of_persons(scene: Scene) -> None:
    """Who is somebody has a class that is not background, who is nobody has none."""
    classes, persons = scene.labels % PARTS, scene.labels // PARTS
    assert ((persons == 0) == (classes == Part.BACKGROUND)).all()
    assert scene.picture.shape == (*scene.labels.shape, 3)
    assert len(np.unique(classes)) > 5


def test_the_description_tells_what_is_in_the_picture(scene: Scene) -> None:
    """Areas and boxes are those of the label image, and everybody in it is described."""
    persons = scene.labels // PARTS
    described = {one["id"]: one for one in scene.description["people"]}
    assert set(np.unique(persons)) - {0} <= set(described)
    for number, one in described.items():
        rows, columns = np.nonzero(persons == number)
        assert one["area"] == rows.size
        if rows.size:
            assert one["bbox"] == [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
    assert scene.description["seed"] in (NUMBER, NUMBER + RETRY, NUMBER + 2 * RETRY)


def test_joints_lie_on_their_person(scene: Scene) -> None:
    """The neck of whoever is seen well lies within their box."""
    seen = [one for one in scene.description["people"] if one["area"] > 2000 and one["joints"]]
    assert seen
    for one in seen:
        x, y = one["joints"]["neck01"]
        left, top, right, bottom = one["bbox"]
        assert left - 10 <= x <= right + 10
        assert top - 10 <= y <= bottom + 10


def test_written_files_are_named_by_the_number(studio: Studio, tmp_path: Path) -> None:
    """A picture, a label image, and a line that JSON can hold."""
    description = write(studio, NUMBER, tmp_path)
    assert {file.name for file in tmp_path.iterdir()} == {f"{NUMBER}.jpg", f"{NUMBER}.png"}
    assert json.loads(json.dumps(description))["file"] == f"{NUMBER}"


def test_children_are_smaller_and_limbs_have_their_sides(studio: Studio) -> None:
    """A body of age 0.2 is shorter than one of 0.5; skin left of the middle is of left limbs."""
    body = studio.people.body
    heights = []
    for age in (0.2, 0.5):
        build = Build(0.5, age, 0.5, 0.5, 0.5, 0.5, np.array([1.0, 0, 0]))
        heights.append(np.ptp(body.shaped(build)[body.faces[body.skin_faces].ravel()][:, 1]))
    assert heights[0] < 0.8 * heights[1]
    assert 1.4 < heights[1] < 2.1
    skin, left = body.regions.skin, body.rest[:, 0] > 0
    assert left[skin == Part.LEFT_ARM].all()
    assert not left[skin == Part.RIGHT_LEG].any()


class Mannequin:
    """A body to be posed, without clothes or rendering."""

    def __init__(self, body: Body) -> None:
        """Give *body* its rest shape."""
        self.body, self.joints = body, np.asarray(body.joints @ body.rest, float)

    def poser(self, seed: int) -> Poser:
        """Random poses."""
        return Poser(np.random.default_rng(seed), self.body, self.joints)

    def posed(self, kind: str, seed: int) -> tuple[dict[str, Array], dict[str, Array]]:
        """Rotation and place of each bone in a random pose."""
        pose = self.poser(seed).draw(kind)
        turns, places = forward(self.body, self.joints, pose.local, pose.absolute)
        return dict(zip(self.body.bones, turns, strict=True)), dict(zip(self.body.bones, places, strict=True))


@pytest.fixture(scope="module")
def mannequin() -> Mannequin:
    """The body of the asset pack."""
    if not PACK.is_dir():
        pytest.skip("the asset pack is not part of the repository")
    return Mannequin(Body(Pack(PACK)))


def degrees(turn: Array) -> float:
    """The angle of a rotation."""
    return float(np.rad2deg(np.arccos(np.clip((np.trace(turn) - 1) / 2, -1, 1))))


def test_some_who_stand_cross_their_legs(mannequin: Mannequin) -> None:
    """The left foot is right of the right one, seen from the hips; knees do not go through each other."""
    crossed = []
    for seed in range(200):
        turns, places = mannequin.posed("stand", seed)
        hips = turns["root"].T
        crossed.append((hips @ (places["foot.L"] - places["foot.R"]))[0] < 0)
        assert np.linalg.norm(places["lowerleg01.L"] - places["lowerleg01.R"]) > 0.06
    assert 0.08 < np.mean(crossed) < 0.25


@pytest.mark.parametrize("kind", ["stand", "walk", "sit"])
def test_ankles_are_not_broken(mannequin: Mannequin, kind: str) -> None:
    """Feet stay within 60 degrees of their direction at rest, also when running and with crossed legs."""
    for seed in range(200):
        turns, _ = mannequin.posed(kind, seed)
        for side in (".L", ".R"):
            assert degrees(turns[f"lowerleg02{side}"].T @ turns[f"foot{side}"]) < 60


def test_mixed_poses_take_whole_limbs_from_recordings_that_are_not_kept_aside(mannequin: Mannequin) -> None:
    """Each limb of one recording, legs and arms of several; joints turned a little, fingers and faces not at all."""
    files = sorted(file.stem for file in (PACK / "poses").glob("*.bvh"))
    turn_of = {name: rotation("y", 360 * i / len(files)) for i, name in enumerate(files)}  # 24 degrees apart
    recorded = {name: dict.fromkeys(mannequin.body.bones, turn) for name, turn in turn_of.items()}

    def source(turn: Array) -> str:
        return min(files, key=lambda name: degrees(turn_of[name].T @ turn))

    used, whole, pairs, others = set(), [], [], []
    for seed in range(60):
        pose = mannequin.poser(seed).mixed(recorded).local
        assert set(pose) == set(mannequin.body.bones)
        assert all(degrees(turn_of[source(pose[bone])].T @ pose[bone]) < 1e-3 for bone in ("jaw", "oris01"))
        for first, last in (("upperleg01", "toe1-1"), ("metacarpal1", "finger3-2")):
            limbs = [[source(pose[f"{bone}{side}"]) for bone in (first, last)] for side in (".L", ".R")]
            whole += [one == other for one, other in limbs]
            pairs.append(limbs[0][1] == limbs[1][1])
            used |= {limbs[0][1], limbs[1][1]}
        others.append(degrees(turn_of[source(pose["spine02"])].T @ pose["spine02"]))
    assert not used & KEPT_POSES
    assert len(used) > 5
    assert np.mean(whole) > 0.85  # a turn of more than 12 degrees looks like another recording's
    assert 0.3 < np.mean(pairs) < 0.9
    assert 2 < np.mean(others) < 8


def test_an_altered_or_missing_file_is_refused(tmp_path: Path) -> None:
    """The error names the file and what to do, before anything is read."""
    (tmp_path / "a.json").write_text("{}")
    sums = hashlib.sha256(b"{}").hexdigest()
    assert Pack(tmp_path, {"a.json": Entry(sums, "here", "CC0")}).json("a") == {}
    with pytest.raises(PackError, match=r"a\.json: not the file of manifest\.json"):
        Pack(tmp_path, {"a.json": Entry("0" * 64, "here", "CC0")})
    with pytest.raises(PackError, match=r"b\.json: missing; give the folder of the asset pack with --pack"):
        Pack(tmp_path, {"b.json": Entry(sums, "here", "CC0")})


def test_every_file_has_a_source_and_a_licence() -> None:
    """Nothing is used of which it is not said where it comes from."""
    entries = read_manifest()
    assert len(entries) > 150
    assert all(entry.source and entry.licence and len(entry.sha256) == 64 for entry in entries.values())


def test_turns_bring_one_direction_to_another() -> None:
    """Also to the opposite one, where there is no shortest way."""
    up = np.array([0.0, 1.0, 0.0])
    for wanted in (direction(30, 20), direction(200, -80), -up):
        turn = shortest_turn(up, wanted)
        np.testing.assert_allclose(turn @ up, wanted, atol=1e-9)
        np.testing.assert_allclose(turn @ turn.T, np.eye(3), atol=1e-9)
    np.testing.assert_allclose(rotation("y", 90) @ [0, 0, 1], [1, 0, 0], atol=1e-9)
