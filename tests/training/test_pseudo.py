"""Labelling tagged photos by networks: what they may decide, and what the pose decides."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

import numpy as np
import pytest

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from torch import Tensor

    from edge_worker.m2fp.network.m2fp import M2FP

torch = pytest.importorskip("torch")

from poses import figure, pose

from training import pseudo
from training.cache import Pack
from training.labels import PARTS, PERSON_OTHER, SHOE, SHOE_PARTS, SKIN, SKIN_PARTS, Part
from training.pseudo import SHAPE, decide, decide_sides, label_all, part_shares, possible_classes, tagged_classes

LIMBS = (Part.LEFT_ARM, Part.RIGHT_ARM, Part.LEFT_LEG, Part.RIGHT_LEG, *SHOE_PARTS)
PHOTO = np.zeros((*SHAPE, 3), dtype=np.uint8)
ALL = frozenset(range(PARTS))


def network(values: dict[Part, float], *, left_half: bool = False) -> M2FP:
    """Return a stand-in with these mask logits, in the left half of each image or everywhere; -5 elsewhere."""

    def run(images: Tensor) -> SimpleNamespace:
        logits = torch.full((len(images), PARTS, SHAPE[0] // 4, SHAPE[1] // 4), -5.0)
        width = logits.shape[-1] // 2 if left_half else logits.shape[-1]
        for part, value in values.items():
            logits[:, part, :, :width] = value
        return SimpleNamespace(mask_logits=logits)

    return cast("M2FP", run)


def coat_where_bright(images: Tensor) -> SimpleNamespace:
    """Stand in for a network that takes what is brighter than the mean of photos for a coat."""
    logits = torch.full((len(images), PARTS, SHAPE[0] // 4, SHAPE[1] // 4), -5.0)
    logits[:, Part.COAT] = torch.where(images[:, 0, ::4, ::4] > 0, 20.0, -20.0)
    return SimpleNamespace(mask_logits=logits)


def shares(**values: float) -> np.ndarray:
    """Return shares (10, 10, 20) of parts by name in a middle of 6×6 pixels, of background around it."""
    out = np.zeros((10, 10, PARTS), dtype=np.float32)
    out[..., Part.BACKGROUND] = 1
    out[2:8, 2:8] = 0
    for name, value in values.items():
        out[2:8, 2:8, Part[name]] = value
    return out


def test_tags_allow_what_they_may_stand_for(tmp_path: Path) -> None:
    """Skin and shoes every part and side of theirs, accessories nothing; background is everywhere."""
    assert possible_classes([Part.COAT]) == {Part.BACKGROUND, Part.COAT}
    assert possible_classes([SKIN, PERSON_OTHER]) == {Part.BACKGROUND, *SKIN_PARTS}
    assert possible_classes([SHOE]) == {Part.BACKGROUND, *SHOE_PARTS}
    (tmp_path / "ccp").mkdir()
    (tmp_path / "ccp/label_names.json").write_text(json.dumps(["null", "skin", "coat"]))
    (tmp_path / "ccp/tags.json").write_text(json.dumps({"one": ["coat", "skin"]}))
    assert tagged_classes(tmp_path) == {"one": {Part.BACKGROUND, Part.COAT, *SKIN_PARTS}}


def test_a_pair_of_limbs_counts_together() -> None:
    """Between two sides no pixel is lost to doubt."""
    found = part_shares([network({Part.LEFT_ARM: 5, Part.RIGHT_ARM: 4.9})], PHOTO, ALL)
    assert found.shape == (SHAPE[0] // 2, SHAPE[1] // 2, PARTS)
    assert (found[..., Part.LEFT_ARM] > 0.99).all()
    assert (found[..., Part.RIGHT_ARM] == 0).all()


def test_classes_without_a_tag_have_no_share() -> None:
    """However sure the network is; the rest is shared by the classes that were tagged."""
    found = part_shares([network({Part.COAT: 20, Part.UPPER: 3})], PHOTO, ALL - {Part.COAT})
    assert (found[..., Part.COAT] == 0).all()
    assert (found[..., Part.UPPER] > 0.9).all()


def test_networks_count_the_same() -> None:
    """Two that contradict each other leave it open."""
    found = part_shares([network({Part.SKIRT: 20}), network({Part.DRESS: 20})], PHOTO, ALL)
    assert found[..., [Part.SKIRT, Part.DRESS]] == pytest.approx(0.5, abs=1e-3)


def test_the_photo_is_seen_from_both_sides() -> None:
    """What is found in the mirrored photo is mirrored back, so both agree on what the photo shows."""
    photo = PHOTO.copy()
    photo[:, : SHAPE[1] // 2] = 255
    coat = part_shares([cast("M2FP", coat_where_bright)], photo, ALL)[..., Part.COAT]
    middle = SHAPE[1] // 4
    assert (coat[:, : middle - 2] > 0.99).all()
    assert (coat[:, middle + 2 :] < 0.01).all()
    one_sided = part_shares([network({Part.COAT: 20}, left_half=True)], PHOTO, ALL)[..., Part.COAT]
    assert one_sided == pytest.approx(one_sided[:, ::-1], abs=1e-6)


@pytest.mark.parametrize(
    ("values", "found"),
    [
        ({"COAT": 0.62, "UPPER": 0.38}, Part.COAT),
        ({"COAT": 0.5, "UPPER": 0.1, "BACKGROUND": 0.4}, Part.COAT),  # given that it is on the person
        ({"COAT": 0.58, "UPPER": 0.42}, PERSON_OTHER),
        ({"COAT": 0.4, "BACKGROUND": 0.6}, Part.BACKGROUND),
    ],
)
def test_the_likeliest_class_is_taken_where_it_is_certain(values: dict[str, float], found: int) -> None:
    """Elsewhere a pixel of the person is undecided."""
    column = shares(COAT=1)
    column[2:8, 2] = shares(**values)[2:8, 2]
    labels = decide(column)
    assert labels is not None
    assert (labels[2:8, 2] == found).all()
    assert (labels[2:8, 3:8] == Part.COAT).all()


@pytest.mark.parametrize(("doubtful", "kept"), [(10, True), (11, False)])
def test_a_photo_with_too_much_undecided_is_left_out(doubtful: int, kept: bool) -> None:  # noqa: FBT001
    """If it is more than 0.3 of the person, here of 36 pixels."""
    found = shares(COAT=1)
    rows, columns = np.divmod(np.arange(doubtful), 6)
    found[2 + rows, 2 + columns, Part.COAT] = found[2 + rows, 2 + columns, Part.UPPER] = 0.5
    assert (decide(found) is not None) == kept


def test_a_photo_without_a_person_is_left_out() -> None:
    """Or with one of less than 0.03 of the photo."""
    assert decide(shares(BACKGROUND=1.0)) is None
    for pixels, kept in ((3, True), (2, False)):
        small = shares(BACKGROUND=1.0)
        small[2, 2 : 2 + pixels] = shares(COAT=1)[2, 2]
        assert (decide(small) is not None) == kept


def test_bystanders_are_background() -> None:
    """The tags are those of the largest figure."""
    found = shares(COAT=1.0)
    found[0, 0] = found[5, 5]
    labels = decide(found)
    assert labels is not None
    assert labels[0, 0] == Part.BACKGROUND


def test_the_pose_decides_the_sides() -> None:
    """Whichever side the network took, the result is the pose's; where that does not decide, no side is told."""
    label_map = figure()
    truth = decide_sides(label_map, pose())
    assert {Part.LEFT_ARM, Part.RIGHT_ARM} <= set(np.unique(truth))
    for guess in (Part.LEFT_ARM, Part.RIGHT_ARM):
        guessed = np.where(np.isin(truth, (Part.LEFT_ARM, Part.RIGHT_ARM)), guess, label_map)
        assert (decide_sides(guessed.astype(np.uint8), pose()) == truth)[np.isin(truth, LIMBS[:2])].all()
    hidden = pose()
    hidden[:, 3] = 0
    for landmarks in (None, hidden):
        alone = decide_sides(truth, landmarks)
        assert not np.isin(alone, LIMBS).any()
        assert {SKIN, SHOE} <= set(np.unique(alone))


def test_labels_follow_the_tags_at_the_photos_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a pose, an arm is skin; classes are never mixed by resizing."""
    Pack.write(tmp_path / "photos.bin", [("one", np.zeros((40, 30, 3), dtype=np.uint8))])
    photos = Pack(tmp_path / "photos.bin")
    monkeypatch.setattr("training.pseudo.tagged_classes", lambda _data: {"one": ALL - {Part.COAT}})
    monkeypatch.setattr("training.pseudo.read_poses", lambda _file: {})
    [(name, labels)] = label_all([network({Part.COAT: 20, Part.LEFT_ARM: 10})], photos, tmp_path)
    assert (name, labels.shape) == ("one", (40, 30))
    assert (labels == SKIN).all()
    halves = np.full((20, 15), Part.COAT, dtype=np.uint8)
    halves[10:] = Part.PANTS
    monkeypatch.setattr("training.pseudo.decide", lambda _shares: halves)
    [(_, labels)] = label_all([network({})], photos, tmp_path)
    assert set(np.unique(labels)) == {Part.COAT, Part.PANTS}


def test_a_new_checkout_needs_no_other_command_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The command makes the cache that it reads; all weights it is given take part."""

    def build(_data: Path, folder: Path) -> None:
        Pack.write(folder / "unlabelled.bin", iter([("photo", PHOTO)]))

    def label(networks: Sequence[str], photos: Pack, _data: Path) -> list[tuple[str, np.ndarray]]:
        assert [str(one) for one in networks] == ["a.pt", "b.pt"]
        return [("photo", photos[0])]

    monkeypatch.setattr("training.pseudo.cache.build_tagged", build)
    monkeypatch.setattr("training.pseudo.read_weights", lambda path: path)
    monkeypatch.setattr("training.pseudo.network_of", lambda weights: weights)
    monkeypatch.setattr("training.pseudo.label_all", label)
    monkeypatch.setattr("sys.argv", ["pseudo", "--weights", "a.pt", "b.pt", "--cache", str(tmp_path / "new")])
    pseudo.main()
    assert capsys.readouterr().out == "1 of 1 photos labelled\n"
