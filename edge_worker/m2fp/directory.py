"""Model directories: a ModelScope checkpoint or an exported model, distinguished by their files.

::

    checkpoint                 exported model
    ├── configuration.json     ├── configuration.json
    ├── pytorch_model.pt       ├── manifest.json      SHA-256 of the other files, verified on load
    └── SHA256SUMS (optional)  ├── model.onnx
                               ├── model-int8.xml     quantised network, weights in .bin (optional)
                               └── limb-sides.onnx    second network, tells left from right (optional)

No torch here: exported models run without it.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import msgspec

from edge_worker.common.errors import CheckpointError
from edge_worker.m2fp.checksums import SUMS_FILE, read_sums, sha256_of
from edge_worker.m2fp.configuration import ModelConfig, load_configuration
from edge_worker.m2fp.manifest import (
    LIMB_SIDES_FILE,
    MANIFEST_FILE,
    ONNX_FILE,
    QUANTISED_FILES,
    Manifest,
    is_quantised,
    read_manifest,
)

WEIGHTS_FILE = "pytorch_model.pt"

# Prefix of bundled models: builtin:NAME is edge_worker/models/NAME.
BUILTIN = "builtin:"
_HUB_OWNER = "damo/"  # of the published M2FP models at ModelScope

_BUILTIN_DIRECTORY = Path(__file__).resolve().parent.parent / "models"


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
        is_builtin = self.path.parent == _BUILTIN_DIRECTORY
        return f"{BUILTIN}{self.path.name}" if is_builtin else str(self.path)

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
    def decides_sides(self) -> bool:
        """Whether there is a second network that decides left and right (:mod:`edge_worker.m2fp.limb_sides`)."""
        return self.config.parsing_on and self.manifest is not None and LIMB_SIDES_FILE in self.manifest.files

    @property
    def digests(self) -> tuple[str, ...]:
        """Digests of everything this model's results depend on: the networks and the configuration."""
        configuration = hashlib.sha256(msgspec.json.encode(self.config)).hexdigest()
        second = (self.exported().files[LIMB_SIDES_FILE],) if self.decides_sides else ()
        return (self.sha256, *self.quantised_sha256, *second, configuration)

    def network_file(self, precision: str) -> Path:
        """Return the file of an exported model to run in *precision*."""
        return self.path / (QUANTISED_FILES[0] if is_quantised(precision) else ONNX_FILE)

    @cached_property
    def sha256(self) -> str:
        """SHA-256 (hex) of the weights file."""
        return self.manifest.files[ONNX_FILE] if self.manifest else sha256_of(self.path / WEIGHTS_FILE)


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
        fetch = f"; to download it: edge-worker model pull {text}" if text.startswith(_HUB_OWNER) else ""
        raise CheckpointError(f"{text}: no such model directory; models that come with the package: {known}{fetch}")
    return directory


def builtin_names() -> tuple[str, ...]:
    """Return the names of the bundled models."""
    return tuple(sorted(entry.parent.name for entry in _BUILTIN_DIRECTORY.glob(f"*/{MANIFEST_FILE}")))


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
