"""``manifest.json`` of an exported model: what its files are, and which precisions it may run in."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
from msgspec import field
from msgspec.structs import replace

from edge_worker.common.errors import CheckpointError
from edge_worker.m2fp.configuration import CONFIGURATION_FILE
from edge_worker.m2fp.sections import Section, read_json, read_section

if TYPE_CHECKING:
    from collections.abc import Mapping

MANIFEST_FILE = "manifest.json"
ONNX_FILE = "model.onnx"
# OpenVINO IR: graph and weights are separate files.
QUANTISED_FILES = ("model-int8.xml", "model-int8.bin")
LIMB_SIDES_FILE = "limb-sides.onnx"


class Manifest(Section, frozen=True, kw_only=True):
    """``manifest.json`` of an exported model.

    Attributes:
        name: display name of the model.
        files: SHA-256 (hex) of every other file by name.
        opset: ONNX opset of the graph.
        source_sha256: SHA-256 of the weights it was exported from.
        warning: a sentence for users, or empty.
        precisions: reduced precisions that passed the agreement test against f32, each with its figures; ``auto``
            chooses no other.
    """

    name: str
    files: dict[str, str]
    opset: int
    source_sha256: str
    warning: str = ""
    precisions: dict[str, str] = field(default_factory=dict)

    def without_quantised(self) -> Manifest:
        """Return a copy for a model without a quantised network."""
        files = {name: digest for name, digest in self.files.items() if name not in QUANTISED_FILES}
        precisions = {name: figures for name, figures in self.precisions.items() if not is_quantised(name)}
        return replace(self, files=files, precisions=precisions)

    def without_limb_sides(self) -> Manifest:
        """Return a copy for a model without the second network."""
        return replace(self, files={k: v for k, v in self.files.items() if k != LIMB_SIDES_FILE})

    def with_precisions(self, found: Mapping[str, str]) -> Manifest:
        """Return a copy with the figures in *found*; a precision with empty figures is removed."""
        precisions = {name: figures for name, figures in {**self.precisions, **found}.items() if figures}
        return replace(self, precisions=precisions)


def is_quantised(precision: str) -> bool:
    """Return whether *precision* runs the quantised network."""
    return precision.startswith("int8")


def read_manifest(directory: Path) -> Manifest:
    """Read ``manifest.json``.

    Raises:
        CheckpointError: it is unreadable or malformed, lists files outside the directory, or omits the graph.
    """
    file = directory / MANIFEST_FILE
    try:
        data = read_json(file)
    except OSError as error:
        raise CheckpointError(f"{file}: {error.strerror}") from error
    manifest = read_section(Manifest, data, file)
    if not {ONNX_FILE, CONFIGURATION_FILE} <= manifest.files.keys():
        raise CheckpointError(f"{file}: files: {ONNX_FILE} and {CONFIGURATION_FILE} must be listed")
    if any(Path(name).name != name for name in manifest.files):
        raise CheckpointError(f"{file}: files: only names of files beside it may be listed")
    return manifest


def as_json(manifest: Manifest) -> str:
    """Return the content of the file."""
    return json.dumps(msgspec.to_builtins(manifest), indent=1, ensure_ascii=False)


def write_manifest(directory: Path, manifest: Manifest) -> None:
    """Write ``manifest.json`` atomically."""
    fresh = directory / f".{MANIFEST_FILE}.part"
    fresh.write_text(as_json(manifest) + "\n", encoding="utf-8")
    fresh.replace(directory / MANIFEST_FILE)
