from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from edge_worker import cli
from edge_worker.m2fp.directory import resolve
from edge_worker.m2fp.kernels.loader import describe_kernels, loaded_kernels
from edge_worker.m2fp.manifest import ONNX_FILE
from edge_worker.tools import model

GOLDEN = Path(__file__).parents[1] / "golden" / "tiny-single"


def test_info_without_a_model_names_those_of_the_package(capsys: pytest.CaptureFixture[str]) -> None:
    """A user finds out what can be written after builtin:."""
    assert cli.main(["model", "info"]) == cli.OK
    assert "builtin:seeded\n" in capsys.readouterr().out


def test_info_describes_a_checkpoint(capsys: pytest.CaptureFixture[str]) -> None:
    """Kind, classes, SHA-256 and the compiled kernels are told, without loading the network."""
    assert cli.main(["model", "info", str(GOLDEN)]) == cli.OK
    shown = dict(line.split(":", 1) for line in capsys.readouterr().out.splitlines())
    assert shown["kind"].strip() == "single-human"
    assert shown["format"].strip() == "checkpoint"
    assert "UpperClothes" in shown["classes"]
    assert shown["kernels"].strip() == describe_kernels(loaded_kernels())
    assert len(shown["sha256"].strip()) == 64


@pytest.mark.parametrize(("model", "has_two"), [("builtin:m2fp-lite", True), ("builtin:seeded", False)])
def test_info_tells_of_a_second_network(capsys: pytest.CaptureFixture[str], model: str, has_two: bool) -> None:  # noqa: FBT001
    """Where there is one."""
    assert cli.main(["model", "info", model]) == cli.OK
    assert ("limb sides:" in capsys.readouterr().out) == has_two


def test_verify_accepts_whole_models(capsys: pytest.CaptureFixture[str]) -> None:
    """An exported model by its checksums, a checkpoint by its tensors."""
    pytest.importorskip("torch")
    for name in ("builtin:seeded", str(GOLDEN)):
        assert cli.main(["model", "verify", name]) == cli.OK
    assert capsys.readouterr().out.count("ok: ") == 2


def test_verify_finds_an_altered_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One changed byte is told with the file's name, and is exit code 1."""
    shutil.copytree(resolve("builtin:seeded"), tmp_path / "model")
    file = tmp_path / "model" / ONNX_FILE
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    assert cli.main(["model", "verify", str(tmp_path / "model")]) == cli.FAILURE
    assert str(file) in capsys.readouterr().err


def test_export_makes_a_model_that_verifies(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """From a checkpoint to an exported model beside it, by default."""
    pytest.importorskip("torch")
    shutil.copytree(GOLDEN, tmp_path / "tiny")
    assert cli.main(["model", "export", str(tmp_path / "tiny")]) == cli.OK
    assert cli.main(["model", "verify", str(tmp_path / "tiny-exported")]) == cli.OK
    assert "exported, ONNX" in capsys.readouterr().out


def test_a_builtin_model_is_exported_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not into the package; to be given other precisions, for instance."""
    monkeypatch.chdir(tmp_path)
    assert cli.main(["model", "export", "builtin:seeded"]) == cli.OK
    assert cli.main(["model", "verify", "seeded-exported"]) == cli.OK


@pytest.mark.parametrize("verb", ["export", "verify"])
def test_missing_torch_is_told(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], verb: str) -> None:
    """Without torch the message says what to install."""
    monkeypatch.setattr(model, "is_installed", lambda *_modules: False)
    assert cli.main(["model", verb, str(GOLDEN)]) == cli.FAILURE
    assert "edge-worker[torch]" in capsys.readouterr().err


def test_pull_refuses_what_is_no_name(capsys: pytest.CaptureFixture[str]) -> None:
    """A name without an owner is refused before anything is asked of the hub."""
    assert cli.main(["model", "pull", "just-a-name"]) == cli.FAILURE
    assert "OWNER/NAME" in capsys.readouterr().err
