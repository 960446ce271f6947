"""``edge-worker model``: fetch, export, describe and verify models."""

from __future__ import annotations

import shutil
import sys
from typing import TYPE_CHECKING

from edge_worker.common.errors import EngineError
from edge_worker.m2fp import hub
from edge_worker.m2fp.directory import BUILTIN, ModelDirectory, builtin_names, open_directory
from edge_worker.m2fp.engines.base import is_installed
from edge_worker.m2fp.kernels.loader import describe_kernels, loaded_kernels
from edge_worker.m2fp.manifest import MANIFEST_FILE, write_manifest
from edge_worker.tools.progress import Progress

if TYPE_CHECKING:
    from pathlib import Path


LICENCE_NOTE = "Mind the licence on the model's card: M2FP's published weights are for non-commercial use."


def pull(model_id: str, out: Path) -> int:
    """Download checkpoint *model_id* (OWNER/NAME) from the ModelScope hub into *out*.

    Raises:
        ModelError: it does not exist, arrived incomplete, or the client is not installed.
    """
    hub.pull(model_id, out)
    sys.stderr.write(f"{LICENCE_NOTE}\n")
    return info(str(out))


def export(source: Path, out: Path) -> int:
    """Export the checkpoint in *source* into *out*, so that it runs without torch; an exported model is copied.

    Raises:
        CheckpointError: it cannot be loaded.
        EngineError: torch is not installed.
    """
    model = open_directory(source)
    if model.manifest is not None:
        copy_exported(model, out)
        return info(str(out))
    _require_torch("exporting a model")
    with Progress().step(f"exporting {source}"):
        from edge_worker.m2fp.export import export as write  # noqa: PLC0415 - brings torch, an extra

        write(source, out)
    return info(str(out))


def copy_exported(model: ModelDirectory, out: Path) -> None:
    """Copy an exported model, unless *out* is its directory."""
    if model.path.resolve() == out.resolve():
        return
    manifest = model.exported()
    out.mkdir(parents=True, exist_ok=True)
    (out / MANIFEST_FILE).unlink(missing_ok=True)
    for name in manifest.files:
        shutil.copyfile(model.path / name, out / name)
    write_manifest(out, manifest)


def info(path: str | None) -> int:
    """Describe the model at *path*, or list the bundled ones.

    Raises:
        CheckpointError: there is no model, or an exported one was altered.
    """
    if path is None:
        sys.stdout.writelines(f"{BUILTIN}{name}\n" for name in builtin_names())
        return 0
    model = open_directory(path)
    manifest = model.manifest
    facts = {
        "name": model.name,
        "directory": model.path,
        "format": "checkpoint" if manifest is None else f"exported, ONNX opset {manifest.opset}",
        "sha256": model.sha256,
        "kind": "single-human" if model.config.single_human else "multi-human",
        "classes": ", ".join(model.config.classes),
        "precisions": ", ".join(["f32", *(manifest.precisions if manifest else ())]),
        "limb sides": "by a second network" if model.decides_sides else "",
        "kernels": describe_kernels(loaded_kernels()),
        "warning": model.warning,
    }
    sys.stdout.writelines(f"{fact + ':':<12}{value}\n" for fact, value in facts.items() if value)
    return 0


def verify(path: str) -> int:
    """Compare an exported model with its checksums, or a checkpoint's tensors with its configuration (needs torch).

    Raises:
        CheckpointError: a file or tensor is wrong; names it.
        EngineError: it is a checkpoint, and torch is not installed.
    """
    model = open_directory(path)
    if model.manifest is None:
        _require_torch("verifying a checkpoint")
        from edge_worker.m2fp.checkpoint import load_network  # noqa: PLC0415 - brings torch, an extra

        load_network(model.path)
    sys.stdout.write(f"ok: {model.path} ({model.name}, SHA-256 {model.sha256})\n")
    return 0


def _require_torch(purpose: str) -> None:
    if not is_installed("torch", "onnx"):
        raise EngineError(f"{purpose} needs torch: pip install 'edge-worker[torch]'")
