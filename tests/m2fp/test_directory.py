"""Model directories are told apart by their files, and exported ones verified."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from checkpoints import GOLDEN
from damages import DAMAGES
from msgspec import structs

from edge_worker.common.errors import CheckpointError
from edge_worker.m2fp.checksums import sha256_of
from edge_worker.m2fp.directory import builtin_names, open_directory, resolve
from edge_worker.m2fp.manifest import LIMB_SIDES_FILE, QUANTISED_FILES, read_manifest, write_manifest


@pytest.fixture
def exported(tmp_path: Path) -> Path:
    """An exported model that may be damaged."""
    return Path(shutil.copytree(resolve("builtin:seeded"), tmp_path / "model"))


def test_checkpoint() -> None:
    """A directory with weights is a checkpoint, named after itself, with the SHA-256 of its weights."""
    model = open_directory(GOLDEN / "tiny-multi")
    assert model.manifest is None
    assert model.name == "tiny-multi"
    assert model.sha256 == sha256_of(GOLDEN / "tiny-multi" / "pytorch_model.pt")


def test_git_lfs_pointer_is_named(exported: Path) -> None:
    """An exported model cloned without Git LFS is not called altered: the command that fetches the file is named."""
    (exported / "model.onnx").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n")
    with pytest.raises(CheckpointError, match=r"model\.onnx: a Git LFS pointer.*git lfs pull"):
        open_directory(exported)


def test_commands_know_a_model_by_its_address(exported: Path) -> None:
    """One that comes with the package by its name: beside it nothing is to be written."""
    assert open_directory("builtin:seeded").address == "builtin:seeded"
    assert open_directory(exported).address == str(exported)


def test_exported_model(exported: Path) -> None:
    """A directory with a manifest is an exported model, with the name and the warning that stand there."""
    model = open_directory(exported)
    assert model.name == "seeded"
    assert "mean nothing" in model.warning
    assert model.sha256 == sha256_of(exported / "model.onnx")


def test_every_builtin_model_is_whole() -> None:
    """What comes with the package is what its manifests say."""
    assert "seeded" in builtin_names()
    for name in builtin_names():
        assert open_directory(f"builtin:{name}").config.classes[0] == "Background"


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("file", ["model.onnx", "configuration.json", *QUANTISED_FILES, LIMB_SIDES_FILE])
def test_altered_files_are_named(exported: Path, file: str, damage: str) -> None:
    """The network, a quantised and a second one too, is refused, and the message says which file it is."""
    others = (*QUANTISED_FILES, LIMB_SIDES_FILE)
    for number, name in enumerate(others):
        (exported / name).write_bytes(bytes((number,)) * 1000)
    sums = {name: sha256_of(exported / name) for name in others}
    manifest = read_manifest(exported)
    write_manifest(exported, structs.replace(manifest, files={**manifest.files, **sums}))
    model = open_directory(exported)
    assert model.quantised_sha256 == tuple(sums[name] for name in QUANTISED_FILES)
    assert set(sums.values()) < set(model.digests)
    DAMAGES[damage](exported / file, GOLDEN / "tiny-multi" / "configuration.json")
    with pytest.raises(CheckpointError, match=rf"{file}: (SHA-256|Is a directory)"):
        open_directory(exported)


@pytest.mark.parametrize("file", ["model.onnx", "configuration.json"])
def test_missing_files_are_named(exported: Path, file: str) -> None:
    """A file that the manifest lists has to be there."""
    (exported / file).unlink()
    with pytest.raises(CheckpointError, match=file):
        open_directory(exported)


@pytest.mark.parametrize("file", ["pytorch_model.pt", "configuration.json"])
def test_altered_checkpoints_are_named(tmp_path: Path, file: str) -> None:
    """Where sha256sum(1) or a pull pinned what they are; where nothing is pinned there is nothing to compare."""
    checkpoint = Path(shutil.copytree(GOLDEN / "tiny-multi", tmp_path / "model"))
    names = ("pytorch_model.pt", "configuration.json")
    listed = subprocess.run(["sha256sum", *names], cwd=checkpoint, check=True, capture_output=True).stdout
    (checkpoint / "SHA256SUMS").write_bytes(listed)
    assert open_directory(checkpoint).manifest is None
    with (checkpoint / file).open("ab") as stream:
        stream.write(b" ")
    with pytest.raises(CheckpointError, match=rf"{file}: SHA-256 .* SHA256SUMS says"):
        open_directory(checkpoint)
    (checkpoint / "SHA256SUMS").unlink()
    assert open_directory(checkpoint).sha256 == sha256_of(checkpoint / "pytorch_model.pt")


def test_other_directories_are_explained(tmp_path: Path) -> None:
    """A directory without a model, and one that does not exist, say what was looked for."""
    with pytest.raises(CheckpointError, match=r"pytorch_model\.pt"):
        open_directory(tmp_path)
    with pytest.raises(CheckpointError, match="builtin:seeded"):
        open_directory("builtin:nonsense")
    with pytest.raises(CheckpointError, match="no such model directory"):
        open_directory(tmp_path / "nowhere")
    with pytest.raises(CheckpointError, match="no such model directory"):
        open_directory("builtin:../m2fp")
