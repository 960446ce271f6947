"""What is accepted as a manifest."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from edge_worker.common.errors import CheckpointError
from edge_worker.m2fp.directory import resolve
from edge_worker.m2fp.manifest import MANIFEST_FILE, read_manifest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda data: data["files"].pop("model.onnx"), "must be listed"),
        (lambda data: data["files"].update({"../other/model.onnx": "0"}), "beside it"),
        (lambda data: data.pop("name"), "name"),
        (lambda data: data.update(speed="fast"), "speed"),
    ],
)
def test_manifests_are_checked(tmp_path: Path, change: Callable[[dict[str, Any]], object], said: str) -> None:
    """A manifest that says too little, too much, or points elsewhere is refused."""
    data = json.loads((resolve("builtin:seeded") / MANIFEST_FILE).read_text())
    change(data)
    (tmp_path / MANIFEST_FILE).write_text(json.dumps(data))
    with pytest.raises(CheckpointError, match=said):
        read_manifest(tmp_path)
