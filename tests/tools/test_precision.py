"""``model export --precision int8`` and ``model gate``: what is written, and when nothing is."""

from __future__ import annotations

import json
import shutil
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from msgspec import structs
from PIL import Image

from edge_worker.cli import main
from edge_worker.m2fp.checksums import sha256_of
from edge_worker.m2fp.directory import open_directory, resolve
from edge_worker.m2fp.engines.openvino import precisions
from edge_worker.m2fp.manifest import LIMB_SIDES_FILE, QUANTISED_FILES, read_manifest, write_manifest
from edge_worker.m2fp.parser import load_parser
from edge_worker.m2fp.quantisation import gate
from edge_worker.m2fp.quantisation.agreement import Agreement
from edge_worker.m2fp.quantisation.gate import Verdict

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

    from edge_worker.m2fp.directory import ModelDirectory
    from edge_worker.m2fp.quantisation.quantise import QuantisedNetwork

REDUCED = precisions()[1:]
QUANTISED = tuple(one for one in REDUCED if one.startswith("int8"))
needs_int8 = pytest.mark.skipif(not QUANTISED, reason="this processor is not offered int8")


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A copy of the seeded model."""
    return shutil.copytree(resolve("builtin:seeded"), tmp_path / "model")


@pytest.fixture
def frames(tmp_path: Path) -> Path:
    """A folder of ten small images."""
    folder, random = tmp_path / "frames", np.random.default_rng(0)
    folder.mkdir()
    for index in range(10):
        Image.fromarray(random.integers(0, 256, (48, 64, 3), np.uint8)).save(folder / f"{index}.png")
    return folder


def judging(monkeypatch: pytest.MonkeyPatch, **overlaps: float) -> list[int]:
    """Have each precision judged to agree so far; the numbers of images that were judged by come into the list."""
    counts = []

    def judge(_model: object, names: Sequence[str], images: Iterable[object], _threads: int) -> list[Verdict]:
        counts.append(len(list(images)))
        overlap = {name: overlaps[name.partition("+")[0]] for name in names}
        return [Verdict(name, Agreement(counts[-1], 1.0, 1.0, 20, overlap[name], overlap[name])) for name in names]

    monkeypatch.setattr(gate, "judge", judge)
    return counts


@pytest.fixture
def calibrated_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The network is calibrated for the first test that asks for it; later ones get the same."""
    pytest.importorskip("nncf", reason="needs edge-worker[int8]")
    from edge_worker.m2fp.quantisation import quantise  # noqa: PLC0415 - an extra

    monkeypatch.setattr(quantise, "QuantisedNetwork", _calibrated(quantise.QuantisedNetwork))


@cache
def _calibrated(network: Callable[..., QuantisedNetwork]) -> Callable[..., QuantisedNetwork]:
    made: list[QuantisedNetwork] = []

    def give(*arguments: Any) -> QuantisedNetwork:  # noqa: ANN401 - what the network takes
        made[:] = made or [network(*arguments)]
        return made[0]

    return give


def told_precisions(model: Path) -> dict[str, str]:
    manifest = open_directory(model).manifest
    assert manifest
    return manifest.precisions


@needs_int8
@pytest.mark.usefixtures("calibrated_once")
def test_a_faithful_network_is_written(
    model: Path, frames: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beside the f32 network, with checksums and figures; it runs when asked for, and unasked."""
    counts, out = judging(monkeypatch, int8=0.97), tmp_path / "out"
    options = ("--precision", "int8", "--calibrate", str(frames))
    assert main(["model", "export", str(model), "--out", str(out), *options]) == 0
    assert counts == [5, 5]  # a look at those it was calibrated with, then the other half
    assert set(told_precisions(out)) == set(QUANTISED)
    assert "instance IoU 0.970" in told_precisions(out)[QUANTISED[0]]
    assert set(QUANTISED_FILES) < set(json.loads((out / "manifest.json").read_text())["files"])
    for wanted in ("int8", "auto"):
        parser = load_parser(out, "openvino", wanted, 1, short_side=64)
        assert parser.info.precision == QUANTISED[0]
        assert parser.parse(np.zeros((48, 64, 3), np.uint8)).label_map.shape == (48, 64)


@needs_int8
@pytest.mark.usefixtures("calibrated_once")
def test_a_second_network_stays_and_does_not_judge(model: Path, frames: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Which layers to quantise is about the first network alone."""
    judged: list[bool] = []

    def judge(judged_model: ModelDirectory, names: Sequence[str], images: Iterable[object], _: int) -> list[Verdict]:
        judged.append(judged_model.decides_sides)
        return [Verdict(name, Agreement(len(list(images)), 1.0, 1.0, 20, 1.0, 1.0)) for name in names]

    monkeypatch.setattr(gate, "judge", judge)
    (model / LIMB_SIDES_FILE).write_bytes(b"not read here")
    manifest = read_manifest(model)
    files = manifest.files | {LIMB_SIDES_FILE: sha256_of(model / LIMB_SIDES_FILE)}
    write_manifest(model, structs.replace(manifest, files=files))
    options = ("--precision", "int8", "--calibrate", str(frames))
    assert main(["model", "export", str(model), "--out", str(model), *options]) == 0
    assert judged == [False, False]
    assert open_directory(model).decides_sides


@needs_int8
@pytest.mark.usefixtures("calibrated_once")
def test_an_unfaithful_network_is_not_written(
    model: Path, frames: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The figures are told, the command fails, and the f32 model is what it was."""
    judging(monkeypatch, int8=0.9)
    before = sorted(file.name for file in model.iterdir())
    options = ("--precision", "int8", "--calibrate", str(frames))
    assert main(["model", "export", str(model), "--out", str(model), *options]) == 1
    assert "not faithful" in capsys.readouterr().err
    assert sorted(file.name for file in model.iterdir()) == before
    assert open_directory(model).quantised_sha256 == ()


@pytest.mark.skipif(not REDUCED, reason="this processor is offered no reduced precision")
def test_the_gate_notes_what_passed(
    model: Path, frames: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """With its figures; what passed before and misses now is taken out."""
    judging(monkeypatch, bf16=0.99, bf16x3=0.99, f16=0.99)
    assert main(["model", "gate", str(model), "--frames", str(frames)]) == 0
    offered = set(REDUCED) - set(QUANTISED)
    assert set(told_precisions(model)) == offered
    assert capsys.readouterr().out.count("passed") == len(offered)
    judging(monkeypatch, bf16=0.9, bf16x3=0.9, f16=0.9)
    assert main(["model", "gate", str(model), "--frames", str(frames)]) == 0
    assert told_precisions(model) == {}


def test_the_gate_wants_an_exported_model(frames: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Of a checkpoint it says how to make one."""
    checkpoint = frames.parent / "checkpoint"
    checkpoint.mkdir()
    shutil.copy(resolve("builtin:seeded") / "configuration.json", checkpoint)
    (checkpoint / "pytorch_model.pt").touch()
    assert main(["model", "gate", str(checkpoint), "--frames", str(frames)]) == 1
    assert "edge-worker model export" in capsys.readouterr().err


def test_int8_must_be_calibrated(model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Without images nothing is exported."""
    assert main(["model", "export", str(model), "--precision", "int8"]) == 1
    assert "--calibrate" in capsys.readouterr().err
    assert not model.with_name("model-exported").exists()


def test_an_exported_model_is_copied(model: Path, tmp_path: Path) -> None:
    """Exporting what was exported needs no checkpoint and no torch."""
    assert main(["model", "export", str(model), "--out", str(tmp_path / "copy")]) == 0
    assert open_directory(tmp_path / "copy").sha256 == open_directory(model).sha256
