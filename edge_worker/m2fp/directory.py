"""Model directories: a ModelScope checkpoint or an exported model, distinguished by their files.

::

    checkpoint                 exported model
    ├── configuration.json     ├── configuration.json
    ├── pytorch_model.pt       ├── manifest.json      SHA-256 of the other files, verified on load
    └── SHA256SUMS (optional)  ├── model.onnx
                               └── model-int8.xml     quantised network, weights in .bin (optional)

No torch here: exported models run without it.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from edge_worker.common.errors import CheckpointError
from edge_worker.m2fp.checksums import SUMS_FILE, read_sums, refuse_lfs_pointer
from edge_worker.m2fp.configuration import CONFIGURATION_FILE, ModelConfig, load_configuration

if TYPE_CHECKING:
    from collections.abc import Mapping

WEIGHTS_FILE = "pytorch_model.pt"
ONNX_FILE = "model.onnx"
MANIFEST_FILE = "manifest.json"
# OpenVINO IR: graph and weights are separate files.
QUANTISED_FILES = ("model-int8.xml", "model-int8.bin")

# Prefix of bundled models: builtin:NAME is edge_worker/models/NAME.
BUILTIN = "builtin:"

_BUILTIN_DIRECTORY = Path(__file__).resolve().parent.parent / "models"

_CHUNK = 1 << 20  # bytes read at a time when hashing


class Manifest(BaseModel):
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

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    files: dict[str, str]
    opset: int
    source_sha256: str
    warning: str = ""
    precisions: dict[str, str] = Field(default_factory=dict)

    def without_quantised(self) -> Manifest:
        """Return a copy for a model without a quantised network."""
        files = {name: digest for name, digest in self.files.items() if name not in QUANTISED_FILES}
        precisions = {name: figures for name, figures in self.precisions.items() if not is_quantised(name)}
        return self.model_copy(update={"files": files, "precisions": precisions})

    def with_precisions(self, found: Mapping[str, str]) -> Manifest:
        """Return a copy with the figures in *found*; a precision with empty figures is removed."""
        precisions = {name: figures for name, figures in {**self.precisions, **found}.items() if figures}
        return self.model_copy(update={"precisions": precisions})


@dataclass(frozen=True)
class ModelDirectory:
    """A verified model on disk.

    Attributes:
        path: the directory.
        config: content of ``configuration.json``.
        manifest: content of ``manifest.json`` of an exported model; None for a checkpoint.
    """

    path: Path
    config: ModelConfig
    manifest: Manifest | None

    @property
    def name(self) -> str:
        """Display name of the model."""
        return self.manifest.name if self.manifest else self.path.resolve().name

    @property
    def address(self) -> str:
        """How commands refer to the model: ``builtin:NAME`` or its path."""
        comes_along = self.path.parent == _BUILTIN_DIRECTORY
        return f"{BUILTIN}{self.path.name}" if comes_along else str(self.path)

    @property
    def warning(self) -> str:
        """A sentence for users, or empty."""
        return self.manifest.warning if self.manifest else ""

    def exported(self) -> Manifest:
        """Return the manifest of an exported model.

        Raises:
            CheckpointError: the model is a checkpoint.
        """
        if self.manifest is None:
            raise CheckpointError(f"{self.path} is a checkpoint: run `edge-worker model export {self.path}` first")
        return self.manifest

    @property
    def quantised_sha256(self) -> tuple[str, ...]:
        """SHA-256 of each file of the quantised network; empty if there is none."""
        files = self.manifest.files if self.manifest else {}
        return tuple(files[name] for name in QUANTISED_FILES if name in files)

    @property
    def digests(self) -> tuple[str, ...]:
        """Digests of all that the results of this model depend on: weights, quantised network and configuration."""
        return (self.sha256, *self.quantised_sha256, hashlib.sha256(self.config.model_dump_json().encode()).hexdigest())

    def network_file(self, precision: str) -> Path:
        """Return the file of an exported model to run in *precision*."""
        return self.path / (QUANTISED_FILES[0] if is_quantised(precision) else ONNX_FILE)

    @cached_property
    def sha256(self) -> str:
        """SHA-256 (hex) of the weights file."""
        return self.manifest.files[ONNX_FILE] if self.manifest else sha256_of(self.path / WEIGHTS_FILE)


def is_quantised(precision: str) -> bool:
    """Return whether *precision* runs the quantised network."""
    return precision.startswith("int8")


def open_directory(path: str | Path) -> ModelDirectory:
    """Open a model directory or ``builtin:NAME`` and verify the files with a pinned SHA-256.

    Raises:
        CheckpointError: a file is missing, altered or malformed; names the file.
    """
    directory = resolve(path)
    if (directory / MANIFEST_FILE).is_file():
        manifest = read_manifest(directory)
        verify(directory, manifest)
        return ModelDirectory(directory, load_configuration(directory), manifest)
    if (directory / WEIGHTS_FILE).is_file():
        model = ModelDirectory(directory, load_configuration(directory), None)
        _verify_checkpoint(model)
        return model
    raise CheckpointError(
        f"{directory}: no model here: a checkpoint holds {WEIGHTS_FILE}, an exported model holds {MANIFEST_FILE}"
    )


def resolve(path: str | Path) -> Path:
    """Resolve *path* to a directory.

    Raises:
        CheckpointError: no such directory or bundled model exists.
    """
    text = str(path)
    if text.startswith(BUILTIN):
        name = text[len(BUILTIN) :]
        directory = _BUILTIN_DIRECTORY / name if name in builtin_names() else None
    else:
        directory = Path(path) if Path(path).is_dir() else None
    if directory is None:
        known = ", ".join(f"{BUILTIN}{name}" for name in builtin_names()) or "none"
        raise CheckpointError(f"{text}: no such model directory; models that come with the package: {known}")
    return directory


def builtin_names() -> tuple[str, ...]:
    """Return the names of the bundled models."""
    return tuple(sorted(entry.parent.name for entry in _BUILTIN_DIRECTORY.glob(f"*/{MANIFEST_FILE}")))


def read_manifest(directory: Path) -> Manifest:
    """Read ``manifest.json``.

    Raises:
        CheckpointError: it is unreadable or malformed, lists files outside the directory, or omits the graph.
    """
    file = directory / MANIFEST_FILE
    try:
        manifest = Manifest.model_validate_json(file.read_bytes())
    except OSError as error:
        raise CheckpointError(f"{file}: {error.strerror}") from error
    except ValidationError as error:
        problem = error.errors(include_url=False)[0]
        raise CheckpointError(f"{file}: {'.'.join(map(str, problem['loc']))}: {problem['msg']}") from error
    if not {ONNX_FILE, CONFIGURATION_FILE} <= manifest.files.keys():
        raise CheckpointError(f"{file}: files: {ONNX_FILE} and {CONFIGURATION_FILE} must be listed")
    if any(Path(name).name != name for name in manifest.files):
        raise CheckpointError(f"{file}: files: only names of files beside it may be listed")
    return manifest


def write_manifest(directory: Path, manifest: Manifest) -> None:
    """Write ``manifest.json`` atomically."""
    fresh = directory / f".{MANIFEST_FILE}.part"
    fresh.write_text(manifest.model_dump_json(indent=1) + "\n", encoding="utf-8")
    fresh.replace(directory / MANIFEST_FILE)


def verify(directory: Path, manifest: Manifest) -> None:
    """Verify the files of an exported model against the SHA-256 in its manifest.

    Raises:
        CheckpointError: a file is missing or differs; names the first one.
    """
    for name, wanted in manifest.files.items():
        _compare(directory / name, sha256_of(directory / name), wanted, MANIFEST_FILE)


def _verify_checkpoint(model: ModelDirectory) -> None:
    """Verify the files of a checkpoint against ``SHA256SUMS``, if present."""
    for name, wanted in read_sums(model.path).items():
        found = model.sha256 if name == WEIGHTS_FILE else sha256_of(model.path / name)
        _compare(model.path / name, found, wanted, SUMS_FILE)


def _compare(file: Path, found: str, wanted: str, source: str) -> None:
    if found != wanted:
        raise CheckpointError(
            f"{file}: SHA-256 is {found}, {source} says {wanted}; "
            "the file was altered or cut off: copy, pull or export the model again"
        )


def sha256_of(file: Path) -> str:
    """Return the SHA-256 of a file, hex.

    Raises:
        CheckpointError: the file is unreadable or a Git LFS pointer.
    """
    digest = hashlib.sha256()
    try:
        with file.open("rb") as stream:
            refuse_lfs_pointer(file, stream.peek(_CHUNK))
            while chunk := stream.read(_CHUNK):
                digest.update(chunk)
    except OSError as error:
        raise CheckpointError(f"{file}: {error.strerror}") from error
    return digest.hexdigest()
