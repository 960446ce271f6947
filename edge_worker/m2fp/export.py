"""Export of a checkpoint to an ONNX file, which OpenVINO and ONNX Runtime run without torch.

The graph accepts any height and width that are multiples of 32; engines fix both when they compile it.
"""

from __future__ import annotations

import shutil
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from edge_worker.m2fp.checkpoint import load_network
from edge_worker.m2fp.checksums import sha256_of
from edge_worker.m2fp.configuration import CONFIGURATION_FILE
from edge_worker.m2fp.directory import WEIGHTS_FILE
from edge_worker.m2fp.limb_sides import CHANNELS, CROP
from edge_worker.m2fp.manifest import (
    LIMB_SIDES_FILE,
    MANIFEST_FILE,
    ONNX_FILE,
    QUANTISED_FILES,
    Manifest,
    write_manifest,
)

if TYPE_CHECKING:
    from pathlib import Path

    from torch import Tensor, nn

    from edge_worker.m2fp.network.limb_sides import LimbSideNetwork
    from edge_worker.m2fp.network.m2fp import M2FP

# The first opset with LayerNormalization as a single operator.
OPSET = 17

_LEAST_HALVED = 64  # elements of weights that are worth it
_LARGEST_HALF = float(np.finfo(np.float16).max)

# Height and width of the traced input. They differ, so that mixing them up fails.
_TRACED = (96, 128)


def export(
    checkpoint: Path, out: Path, *, name: str | None = None, warning: str = "", half_weights: bool = False
) -> Manifest:
    """Export the model of a *checkpoint* directory into the directory *out*.

    The manifest is written last: a directory without one is an interrupted export.

    Args:
        checkpoint: holds ``configuration.json`` and ``pytorch_model.pt``.
        out: created if missing; an existing export is replaced.
        name: display name of the model; defaults to the name of *checkpoint*.
        warning: a sentence for users, which the worker repeats.
        half_weights: store the weights rounded to half precision, in half the bytes; engines still compute in f32.

    Raises:
        CheckpointError: the checkpoint cannot be loaded.
    """
    network, _ = load_network(checkpoint)
    out.mkdir(parents=True, exist_ok=True)
    for stale in (MANIFEST_FILE, LIMB_SIDES_FILE, *QUANTISED_FILES):
        (out / stale).unlink(missing_ok=True)
    write_onnx(network, out / ONNX_FILE)
    if half_weights:
        halve_weights(out / ONNX_FILE)
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
    size, masks = {2: "height", 3: "width"}, {2: "mask_height", 3: "mask_width"}
    _write(
        network,
        torch.zeros(1, 3, *_TRACED),
        file,
        input_names=["image"],
        output_names=["class_logits", "mask_logits"],
        dynamic_axes={"image": size, "mask_logits": masks},
    )


def write_limb_sides(network: LimbSideNetwork, file: Path) -> None:
    """Write the network that decides left and right as an ONNX *file*: ``crops`` → ``sides``, one person at a time."""
    crops = torch.zeros(1, CHANNELS, CROP.height, CROP.width)
    _write(network, crops, file, input_names=["crops"], output_names=["sides"])


def _write(network: nn.Module, example: Tensor, file: Path, **names: Any) -> None:  # noqa: ANN401 - torch's own options
    with warnings.catch_warnings():
        # The newer exporter needs onnxscript and freezes shapes that the network computes from its input.
        warnings.filterwarnings("ignore", category=DeprecationWarning)
        # GroupNorm checks the batch size, which is fixed. Warnings from our own modules stay visible: they are defects.
        warnings.filterwarnings("ignore", "Converting a tensor", module=r"torch\.nn\.functional")
        warnings.filterwarnings("ignore", "Constant folding")  # what is left for the engines to fold
        torch.onnx.export(network, (example,), str(file), opset_version=OPSET, dynamo=False, **names)


def halve_weights(file: Path) -> None:
    """Round the large weights of an ONNX *file* to half precision, each followed by a cast to f32.

    Engines evaluate the casts when they load the graph.
    """
    import onnx  # noqa: PLC0415 - only models that ship are stored so

    model = onnx.load(file)
    casts = []
    for weights in model.graph.initializer:
        values = onnx.numpy_helper.to_array(weights)
        if values.dtype != np.float32 or values.size < _LEAST_HALVED or np.abs(values).max() > _LARGEST_HALF:
            continue
        name = weights.name
        weights.CopyFrom(onnx.numpy_helper.from_array(values.astype(np.float16), f"{name}.half"))
        casts.append(onnx.helper.make_node("Cast", [f"{name}.half"], [name], to=onnx.TensorProto.FLOAT))
    nodes = [*casts, *model.graph.node]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    onnx.save(model, file)
