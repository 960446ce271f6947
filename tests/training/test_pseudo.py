"""Labelling photos by the network itself: what it may decide, and what the pose decides."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

if TYPE_CHECKING:
    from pathlib import Path

pytest.importorskip("torch")

from poses import figure, pose

from training import pseudo
from training.cache import Pack
from training.labels import PARTS, SHOE, SHOE_PARTS, SKIN, Part
from training.pseudo import decide, decide_sides

LIMBS = (Part.LEFT_ARM, Part.RIGHT_ARM, Part.LEFT_LEG, Part.RIGHT_LEG, *SHOE_PARTS)


def sure_of_the_right_arm() -> np.ndarray:
    """Logits (10, 10, 20) of a picture whose middle is a right arm, and a left one only a little less."""
    logits = np.full((10, 10, PARTS), -5.0, dtype=np.float32)
    logits[..., Part.BACKGROUND] = 5
    logits[2:8, 2:8, Part.BACKGROUND] = -5
    logits[2:8, 2:8, Part.RIGHT_ARM], logits[2:8, 2:8, Part.LEFT_ARM] = 5.0, 4.9
    return logits


def test_an_arm_of_doubtful_side_is_still_an_arm() -> None:
    """Both sides count together: between them no pixel is lost to doubt."""
    labels = decide(sure_of_the_right_arm(), frozenset(range(PARTS)))
    assert labels is not None
    assert (labels[2:8, 2:8] == Part.LEFT_ARM).all()


def test_what_the_tags_exclude_is_never_shown() -> None:
    """A class that nobody tagged is not chosen, however sure the network is."""
    logits = sure_of_the_right_arm()
    logits[2:8, 2:8, Part.COAT] = 20
    labels = decide(logits, frozenset(range(PARTS)) - {Part.COAT})
    assert labels is not None
    assert Part.COAT not in labels


def test_the_pose_decides_the_sides() -> None:
    """Whichever side the network took, the result is the pose's; without a pose no side is told."""
    label_map = figure()
    truth = decide_sides(label_map, pose())
    assert {Part.LEFT_ARM, Part.RIGHT_ARM} <= set(np.unique(truth))
    for guess in (Part.LEFT_ARM, Part.RIGHT_ARM):
        guessed = np.where(np.isin(truth, (Part.LEFT_ARM, Part.RIGHT_ARM)), guess, label_map)
        assert (decide_sides(guessed.astype(np.uint8), pose()) == truth)[np.isin(truth, LIMBS[:2])].all()
    alone = decide_sides(truth, None)
    assert not np.isin(alone, LIMBS).any()
    assert {SKIN, SHOE} <= set(np.unique(alone))


def test_a_new_checkout_needs_no_other_command_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The first step of README.md and of ``training.all`` makes the cache that it reads."""
    photo = np.zeros((4, 4, 3), np.uint8)

    def build(_data: Path, folder: Path) -> None:
        Pack.write(folder / "unlabelled.bin", iter([("photo", photo)]))

    monkeypatch.setattr("training.pseudo.cache.build", build)
    monkeypatch.setattr("training.pseudo.kept_network", lambda _path: None)
    monkeypatch.setattr("training.pseudo.label_all", lambda _network, photos, _data: iter([("photo", photos[0])]))
    monkeypatch.setattr("sys.argv", ["pseudo", "--start", "start.pt", "--cache", str(tmp_path)])
    pseudo.main()
    assert capsys.readouterr().out == "1 of 1 photos labelled\n"
