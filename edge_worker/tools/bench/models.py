"""Models to measure: an existing one, or a seeded one of the published size, which is created on first use."""

from __future__ import annotations

import importlib
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from edge_worker.common.errors import ModelError
from edge_worker.m2fp.directory import WEIGHTS_FILE, open_directory
from edge_worker.m2fp.engines.base import is_installed
from edge_worker.m2fp.manifest import MANIFEST_FILE

if TYPE_CHECKING:
    from collections.abc import Sequence

SEEDED = "seeded-r101"
_SEED = 7


def checkpoint(model: str, cache: Path) -> Path | None:
    """Return the checkpoint that *model* is or was exported from, for engines that need one; None if it is missing."""
    directory = seeded_checkpoint(cache) if model == SEEDED else Path(model)
    return directory if (directory / WEIGHTS_FILE).is_file() else None


def exported(model: str, cache: Path) -> str:
    """Return *model* for engines without torch: itself, or an export if it is a checkpoint.

    Raises:
        ModelError: it is a checkpoint or the seeded model, and torch is not installed.
    """
    if model != SEEDED and (open_directory(model).path / MANIFEST_FILE).is_file():
        return model
    if not is_installed("torch", "onnx"):
        raise ModelError(f"{model} must be exported first, which needs torch: pip install 'edge-worker[torch]'")
    source = checkpoint(model, cache)
    assert source is not None  # noqa: S101 - what is no export is a checkpoint, or open_directory has refused it
    exports = importlib.import_module("edge_worker.m2fp.engines.exports")
    return str(exports.exported(open_directory(source), cache).path)


def quantised(exported: str, frames: Sequence[Path], cache: Path) -> str:
    """Return the exported seeded model with a quantised network, under *cache*; created if missing.

    All supported layers are quantised without an accuracy check, which would be meaningless with random weights.

    Raises:
        ModelError: it is missing, and NNCF is not installed.
    """
    directory = cache / "quantised" / Path(exported).name
    if directory.is_dir():
        return str(directory)
    if not is_installed("nncf"):
        raise ModelError(f"to quantise {SEEDED} needs NNCF: pip install 'edge-worker[int8]'")
    from edge_worker.tools.model import copy_exported  # noqa: PLC0415
    from edge_worker.tools.precision import quantise_unjudged  # noqa: PLC0415

    directory.parent.mkdir(parents=True, exist_ok=True)
    fresh = Path(tempfile.mkdtemp(dir=directory.parent, prefix=".part-"))
    copy_exported(open_directory(exported), fresh)
    quantise_unjudged(fresh, frames)
    os.replace(fresh, directory)  # noqa: PTH105 - a directory, whole or not at all
    return str(directory)


def seeded_checkpoint(cache: Path) -> Path:
    """Return a checkpoint of the published ResNet-101 size with random weights, under *cache*; created if missing.

    Raises:
        ModelError: it is missing, and torch is not installed.
    """
    directory = cache / "checkpoints" / SEEDED
    if directory.is_dir():
        return directory
    if not is_installed("torch"):
        raise ModelError(f"to make {SEEDED} needs torch: pip install 'edge-worker[torch]'")
    seeded = importlib.import_module("edge_worker.m2fp.seeded")
    directory.parent.mkdir(parents=True, exist_ok=True)
    fresh = Path(tempfile.mkdtemp(dir=directory.parent, prefix=".part-"))
    seeded.write_seeded_checkpoint(fresh, seeded.published_configuration(), _SEED)
    os.replace(fresh, directory)  # noqa: PTH105 - a directory, whole or not at all
    return directory
