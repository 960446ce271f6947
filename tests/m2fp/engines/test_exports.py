"""Exports of checkpoints: one for each content, whole or not at all, and nothing of killed processes."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from checkpoints import GOLDEN
from damages import DAMAGES
from msgspec import structs

from edge_worker.m2fp.checksums import sha256_of
from edge_worker.m2fp.directory import open_directory, resolve
from edge_worker.m2fp.engines import exports
from edge_worker.m2fp.manifest import read_manifest, write_manifest
from edge_worker.m2fp.parser import load_parser

if TYPE_CHECKING:
    from collections.abc import Callable

    from edge_worker.m2fp.directory import ModelDirectory


def test_checkpoints_run_without_a_cache(seeded: Callable[[str], Path], tmp_path: Path) -> None:
    """Where nothing can be kept, a checkpoint is exported for this process alone."""
    file = tmp_path / "a file, not a directory"
    file.touch()
    for cache in (None, file):
        parser = load_parser(seeded("few-classes"), "onnxruntime", "f32", 1, short_side=64, cache_directory=cache)
        assert parser.parse(np.zeros((64, 64, 3), np.uint8)).label_map.shape == (64, 64)


def test_two_processes_may_export_at_once(seeded: Callable[[str], Path], cache: Path, tmp_path: Path) -> None:
    """The slower of two finds the other's export in its place and uses it."""
    model = open_directory(seeded("few-classes"))
    made = exports.exported(model, cache).path
    shutil.copytree(made, tmp_path / "exported" / made.name)
    first = exports.exported(model, tmp_path)
    exports._export(model, first.path)
    assert open_directory(first.path).sha256 == first.sha256
    assert [entry.name for entry in (tmp_path / "exported").iterdir()] == [first.path.name]


def test_an_export_has_the_name_of_its_checkpoint(seeded: Callable[[str], Path], tmp_path: Path) -> None:
    """Also where that was exported under another name before."""
    model = open_directory(seeded("few-classes"))
    renamed = open_directory(shutil.copytree(model.path, tmp_path / "renamed"))
    names = [exports.exported(one, tmp_path).name for one in (model, renamed, model)]
    assert names == [model.name, "renamed", model.name]


@pytest.fixture
def checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModelDirectory:
    """A checkpoint whose export is quick: another model's network with the right manifest."""

    def export(model: ModelDirectory, place: Path) -> None:
        shutil.copytree(resolve("builtin:seeded"), place)
        shutil.copyfile(model.path / "configuration.json", place / "configuration.json")
        sums = {name: sha256_of(place / name) for name in ("model.onnx", "configuration.json")}
        manifest = structs.replace(read_manifest(place), files=sums, source_sha256=model.sha256)
        write_manifest(place, manifest)

    monkeypatch.setattr(exports, "_export", export)
    return open_directory(shutil.copytree(GOLDEN / "tiny-multi", tmp_path / "checkpoint"))


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("name", ["model.onnx", "configuration.json", "manifest.json"])
def test_a_damaged_export_is_made_anew(
    checkpoint: ModelDirectory, tmp_path: Path, caplog: pytest.LogCaptureFixture, name: str, damage: str
) -> None:
    """Said once, with its place; a sound one lies there afterwards."""
    export = exports.exported(checkpoint, tmp_path)
    another = resolve("builtin:m2fp-lite") / name
    DAMAGES[damage](export.path / name, another)
    made = exports.exported(checkpoint, tmp_path)
    assert made.sha256 == export.sha256 == sha256_of(made.path / "model.onnx")
    assert exports.exported(checkpoint, tmp_path).sha256 == export.sha256
    assert [str(export.path) in record.getMessage() for record in caplog.records] == [True]


@pytest.mark.parametrize("instead", ["another's", "a file", "a link to nowhere"])
def test_the_export_of_another_checkpoint_is_not_taken(
    checkpoint: ModelDirectory, tmp_path: Path, caplog: pytest.LogCaptureFixture, instead: str
) -> None:
    """Sound as it may be in itself; nor does anything else in its place keep the model from being exported."""
    export = exports.exported(checkpoint, tmp_path)
    shutil.rmtree(export.path)
    if instead == "another's":
        shutil.copytree(resolve("builtin:seeded"), export.path)
    elif instead == "a file":
        export.path.touch()
    else:
        export.path.symlink_to("nowhere")
    assert exports.exported(checkpoint, tmp_path).sha256 == export.sha256
    assert [str(export.path) in record.getMessage() for record in caplog.records] == [True]


def test_what_killed_processes_left_of_exports_is_removed(tmp_path: Path) -> None:
    """By the next process that exports; what belongs to one that lives stays."""
    code = (
        "import pathlib, sys; from edge_worker.m2fp.engines.exports import _own_directory\n"
        "print(_own_directory(pathlib.Path(sys.argv[1]), '.part-'), flush=True); sys.stdin.read()"
    )
    command = [sys.executable, "-c", code, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        theirs = Path(other.stdout.readline().strip())
        (theirs / "model.onnx").touch()
        own = exports._own_directory(tmp_path, ".part-")
        assert {own, theirs} == set(tmp_path.iterdir())
        other.kill()
    assert set(tmp_path.iterdir()) == {own, theirs}
    newest = exports._own_directory(tmp_path, ".part-")
    assert set(tmp_path.iterdir()) == {own, newest}
