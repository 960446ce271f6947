"""``edge-worker model``: fetch, export, describe and verify models."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from edge_worker.m2fp.directory import BUILTIN, builtin_names, open_directory

if TYPE_CHECKING:
    from pathlib import Path


def pull(name: str, out: Path) -> int:
    """Fetch checkpoint *name* from ModelScope's hub into *out*."""
    from edge_worker.m2fp.hub import pull as fetch  # noqa: PLC0415 - the hub's client is an extra

    fetch(name, out)
    return info(str(out))


def export(checkpoint: Path, out: Path) -> int:
    """Export *checkpoint* into *out*, so that it runs without torch."""
    from edge_worker.m2fp.export import export as write  # noqa: PLC0415 - brings torch, an extra

    write(checkpoint, out)
    return info(str(out))


def info(path: str | None) -> int:
    """Describe the model at *path*, or name those that come with the package."""
    if path is None:
        sys.stdout.writelines(f"{BUILTIN}{name}\n" for name in builtin_names())
        return 0
    model = open_directory(path)
    facts = {
        "name": model.name,
        "directory": model.path,
        "format": "checkpoint" if model.manifest is None else f"exported, ONNX opset {model.manifest.opset}",
        "sha256": model.sha256,
        "kind": "single-human" if model.config.single_human else "multi-human",
        "classes": ", ".join(model.config.classes),
        "precisions": ", ".join(["f32", *(model.manifest.precisions if model.manifest else ())]),
        "warning": model.warning,
    }
    sys.stdout.writelines(f"{fact + ':':<12}{value}\n" for fact, value in facts.items() if value)
    return 0


def verify(path: str) -> int:
    """Compare an exported model with its checksums, or a checkpoint's tensors with its configuration (needs torch).

    Raises:
        CheckpointError: saying which file or tensor is wrong.
    """
    model = open_directory(path)
    if model.manifest is None:
        from edge_worker.m2fp.checkpoint import load_network  # noqa: PLC0415 - brings torch, an extra

        load_network(model.path)
    sys.stdout.write(f"ok: {model.path} ({model.name}, SHA-256 {model.sha256})\n")
    return 0
