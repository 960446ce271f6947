"""What is accepted as a manifest."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING, Any

import pytest

from edge_worker.common.errors import CheckpointError
from edge_worker.m2fp.directory import resolve
from edge_worker.m2fp.manifest import MANIFEST_FILE, read_manifest, write_manifest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda data: data["files"].pop("model.onnx"), "must be listed"),
        (lambda data: data["files"].update({"../other/model.onnx": "0"}), "beside it"),
        (lambda data: data.pop("name"), "name"),
        (lambda data: data.update(speed="fast"), "json: speed: unknown key$"),
        (lambda data: data.pop("opset"), "json: opset: required key is missing$"),
        (lambda data: data["files"].update({"model.onnx": 1}), "json: files: Expected `str`, got `int`$"),
    ],
)
def test_manifests_are_checked(tmp_path: Path, change: Callable[[dict[str, Any]], object], said: str) -> None:
    """A manifest that says too little, too much, or points elsewhere is refused."""
    data = json.loads((resolve("builtin:seeded") / MANIFEST_FILE).read_text())
    change(data)
    (tmp_path / MANIFEST_FILE).write_text(json.dumps(data))
    with pytest.raises(CheckpointError, match=said):
        read_manifest(tmp_path)


@pytest.mark.parametrize(
    ("content", "said"),
    [("{", "json: not JSON: "), ("[]", "json: Expected `object`, got `array`$"), ("[" * 100_000, "not JSON")],
)
def test_other_files_are_refused(tmp_path: Path, content: str, said: str) -> None:
    """Whatever is in the file, a CheckpointError names it."""
    (tmp_path / MANIFEST_FILE).write_text(content)
    with pytest.raises(CheckpointError, match=said):
        read_manifest(tmp_path)


@pytest.mark.parametrize("key", ["name", "opset", "files"])
def test_text_that_is_no_unicode_is_refused(tmp_path: Path, key: str) -> None:
    """Half of a surrogate pair is valid JSON, and could not be written again."""
    data = json.loads((resolve("builtin:seeded") / MANIFEST_FILE).read_text()) | {key: "\ud800"}
    (tmp_path / MANIFEST_FILE).write_text(json.dumps(data))
    with pytest.raises(CheckpointError, match=MANIFEST_FILE):
        read_manifest(tmp_path)


def test_it_is_written_as_it_was_read(tmp_path: Path) -> None:
    """To the byte, names in any script included: people read it, and version control compares it."""
    shutil.copyfile(resolve("builtin:m2fp-lite") / MANIFEST_FILE, tmp_path / MANIFEST_FILE)
    content = (tmp_path / MANIFEST_FILE).read_text(encoding="utf-8").replace('"name": "', '"name": "größer ')
    (tmp_path / MANIFEST_FILE).write_text(content, encoding="utf-8")
    write_manifest(tmp_path, read_manifest(tmp_path))
    assert (tmp_path / MANIFEST_FILE).read_text(encoding="utf-8") == content
