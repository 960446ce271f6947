"""A checkpoint → an exported model: one ONNX file that OpenVINO and ONNX Runtime read, without torch.

The graph takes any height and width that are multiples of 32; the engines fix both when they compile it.
"""

from __future__ import annotations

import shutil
import warnings
from typing import TYPE_CHECKING

import torch

from edge_worker.m2fp.checkpoint import load_network
from edge_worker.m2fp.configuration import CONFIGURATION_FILE
from edge_worker.m2fp.directory import (
    MANIFEST_FILE,
    ONNX_FILE,
    QUANTISED_FILES,
    WEIGHTS_FILE,
    Manifest,
    sha256_of,
    write_manifest,
)

if TYPE_CHECKING:
    from pathlib import Path

    from edge_worker.m2fp.network.m2fp import M2FP

# LayerNormalization is one operator from here on.
OPSET = 17

# Height and width of the input that is traced. They differ, so that neither can be taken for the other.
_TRACED = (96, 128)


def export(checkpoint: Path, out: Path, *, name: str | None = None, warning: str = "") -> Manifest:
    """Export the model of a *checkpoint* directory into the directory *out*.

    The manifest is written last: a directory without it is an export that was cut off.

    Args:
        checkpoint: holds ``configuration.json`` and ``pytorch_model.pt``.
        out: made where it is missing; an export in it is replaced.
        name: what the model calls itself; by default the name of *checkpoint*.
        warning: a sentence for users of the model, which the worker repeats.

    Raises:
        CheckpointError: the checkpoint cannot be loaded.
    """
    network, _ = load_network(checkpoint)
    out.mkdir(parents=True, exist_ok=True)
    for stale in (MANIFEST_FILE, *QUANTISED_FILES):
        (out / stale).unlink(missing_ok=True)
    write_onnx(network, out / ONNX_FILE)
    shutil.copyfile(checkpoint / CONFIGURATION_FILE, out / CONFIGURATION_FILE)
    manifest = Manifest(
        name=name or checkpoint.resolve().name,
        files={file: sha256_of(out / file) for file in (ONNX_FILE, CONFIGURATION_FILE)},
        opset=OPSET,
        source_sha256=sha256_of(checkpoint / WEIGHTS_FILE),
        warning=warning,
    )
    write_manifest(out, manifest)
    return manifest


def write_onnx(network: M2FP, file: Path) -> None:
    """Write *network* as an ONNX *file*: ``image`` → ``class_logits``, ``mask_logits``."""
    with warnings.catch_warnings():
        # The exporter's successor needs onnxscript and keeps shapes that this network computes from its input fixed.
        warnings.filterwarnings("ignore", category=DeprecationWarning)
        # GroupNorm checks the batch size, which is fixed. A warning of our own modules would be a defect: it stays.
        warnings.filterwarnings("ignore", "Converting a tensor", module=r"torch\.nn\.functional")
        torch.onnx.export(
            network,
            (torch.zeros(1, 3, *_TRACED),),
            str(file),
            input_names=["image"],
            output_names=["class_logits", "mask_logits"],
            dynamic_axes={"image": {2: "height", 3: "width"}, "mask_logits": {2: "mask_height", 3: "mask_width"}},
            opset_version=OPSET,
            dynamo=False,
        )
