"""The plan of ``python -m training.all``: which commands, in which order."""

from __future__ import annotations

import os
from importlib.util import find_spec
from typing import TYPE_CHECKING

import numpy as np
import pytest

from training.all import CHUNK, FIRST_SCENE, rendering, steps
from training.cache import PSEUDO_LABELS, Pack

if TYPE_CHECKING:
    from pathlib import Path

MINUTES, RUN = 80.0, "runs/one"
PLAN = list(steps(MINUTES, RUN))


def option(step: list[str], name: str, default: str = "") -> str:
    """The value that *step* gives to the option *name*."""
    return step[step.index(name) + 1] if name in step else default


def test_every_step_is_a_command_for_the_same_run() -> None:
    """What one leaves in the run's folder, the next one finds; evaluating takes what was exported."""
    for name, *arguments in PLAN:
        assert find_spec(f"training.{name}")
        assert name in {"pseudo", "quantise", "evaluate"} or option(arguments, "--run").startswith(RUN)


def test_each_stage_trains_longer_up_to_the_whole_time() -> None:
    """The learning rate follows the whole time, which each stage is told; both networks share what was asked for."""
    stages = [step for step in PLAN if step[0] == "train"]
    (parsing,) = {float(option(stage, "--minutes")) for stage in stages}
    (sides,) = (float(option(step, "--minutes")) for step in PLAN if step[0] == "limb_sides")
    assert parsing + sides == pytest.approx(MINUTES)
    stops = [float(option(stage, "--stop-after")) for stage in stages]
    assert stops == sorted(set(stops))
    assert stops[0] > 0
    assert stops[-1] == parsing


def test_what_was_trained_is_exported_and_then_judged() -> None:
    """Once, at the end: the export removes an earlier second network, and the gate judges with it."""
    names = [step[0] for step in PLAN]
    assert names[-4:] == ["export", "limb_sides", "quantise", "evaluate"]
    assert set(names[:-4]) - {"pseudo"} == {"train"}
    runs = [option(step, "--run") for step in PLAN if step[0] in {"export", "limb_sides"}]
    assert len(set(runs)) == len(runs)


def test_pseudo_labels_are_made_once_before_training(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the weights from which training starts; a resumed run keeps them, one from newer weights makes them anew."""
    monkeypatch.setattr("training.all.CACHE", tmp_path)
    monkeypatch.setattr("training.all.START", str(tmp_path / "start.pt"))
    (tmp_path / "start.pt").touch()
    first, *others = steps(MINUTES, RUN)
    assert first[0] == "pseudo"
    assert all("--pseudo" in step for step in others if step[0] == "train")
    assert option(first, "--weights") == option(others[0], "--start")
    Pack.write(tmp_path / PSEUDO_LABELS, [("one", np.zeros((4, 4), dtype=np.uint8))])
    os.utime(tmp_path / "start.pt", (1, 1))
    assert list(steps(MINUTES, RUN)) == others
    os.utime(tmp_path / PSEUDO_LABELS, (0, 0))
    assert list(steps(MINUTES, RUN)) == [first, *others]


def test_scenes_are_rendered_in_chunks_without_gaps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every number once; a chunk whose descriptions are there is not rendered again."""
    monkeypatch.setattr("training.all.SCENES", tmp_path)
    chunks = [(int(option(step, "--from")), int(option(step, "--to"))) for step in rendering(CHUNK + 50)]
    assert chunks == [(FIRST_SCENE, FIRST_SCENE + CHUNK), (FIRST_SCENE + CHUNK, FIRST_SCENE + CHUNK + 50)]
    (tmp_path / f"scenes_{FIRST_SCENE}_{FIRST_SCENE + CHUNK}.jsonl").touch()
    assert len(list(rendering(CHUNK + 50))) == 1
