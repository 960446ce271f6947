"""Post-training quantisation with NNCF: int8 where it is fast and costs little accuracy.

Quantises the convolutions of the backbone and the pixel decoder and the feed-forward layers of its encoder, which are
most of the arithmetic. Attention, deformable sampling, the transformer decoder and the heads stay in floating point:
quantising them ruins detectors of this kind (RT-DETR's precision fell from 0.65 to 0.0002).
"""

from __future__ import annotations

import logging
import os
import re
from typing import TYPE_CHECKING, Any, TypeVar, cast

import openvino
from openvino._offline_transformations import compress_quantize_weights_transformation

from edge_worker.m2fp.manifest import ONNX_FILE

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence
    from pathlib import Path
    from types import ModuleType

    from edge_worker.m2fp.directory import ModelDirectory
    from edge_worker.m2fp.types import FloatArray

T = TypeVar("T")

_PRODUCTS = frozenset({"Convolution", "GroupConvolution", "MatMul"})

# Scopes as named by the exporter: group, then the rest. mask_features is excluded because it feeds the mask head.
_BACKBONE = re.compile(r"/(backbone/[^/]+)/")
_PIXEL_DECODER = re.compile(r"/(pixel_decoder/(?!mask_features)[^/.]+)(?!.*/self_attn/)")


class QuantisedNetwork:
    """A fully quantised network, from which groups of layers can be excluded again."""

    def __init__(self, model: ModelDirectory, frames: Sequence[T], load: Callable[[T], FloatArray]) -> None:
        """Quantise an exported *model* with the activation ranges observed on *frames*.

        *load* converts a frame to the network's input, float32 1×3×H×W.
        """
        network = openvino.Core().read_model(model.path / ONNX_FILE)
        self._network = _quantise(network, frames, load)
        self.groups = tuple(dict.fromkeys(group for node in network.get_ordered_ops() if (group := _group(node))))

    def write(self, file: Path, without: Collection[str]) -> None:
        """Write OpenVINO IR (XML *file*, weights next to it); groups in *without* stay in floating point."""
        network = self._network.clone()
        for node in network.get_ordered_ops():
            if _group(node) in without:
                _leave_out(node)
        compress_quantize_weights_transformation(network)  # to int8; last, after layers are excluded
        openvino.save_model(network, file, compress_to_fp16=False)


def load_nncf() -> ModuleType:
    """Import NNCF (an extra, slow to import) with telemetry and log output disabled."""
    os.environ["NNCF_CI"] = "1"
    import nncf  # noqa: PLC0415 - an extra

    logging.getLogger("nncf").setLevel(logging.ERROR)  # its own function also changes handlers that others attached
    return cast("ModuleType", nncf)


def _quantise(network: openvino.Model, frames: Sequence[T], load: Callable[[T], FloatArray]) -> openvino.Model:
    nncf = load_nncf()
    others = [node.get_friendly_name() for node in network.get_ordered_ops() if not _group(node)]
    return nncf.quantize(
        network,
        nncf.Dataset(frames, load),
        subset_size=len(frames),
        ignored_scope=nncf.IgnoredScope(names=others, validate=False),
        advanced_parameters=nncf.AdvancedQuantizationParameters(
            disable_bias_correction=True,  # it would also change biases of layers excluded later
            backend_params={"compress_weights": False},
        ),
    )


def _group(node: Any) -> str | None:  # noqa: ANN401 - OpenVINO has no types
    """Return the group of a quantised node, or None."""
    name = node.get_friendly_name()
    if found := _BACKBONE.match(name):  # includes additions and pooling, so int8 passes between products
        return found[1]
    if node.get_type_name() in _PRODUCTS and (found := _PIXEL_DECODER.match(name)):
        return found[1]
    return None


def _leave_out(node: Any) -> None:  # noqa: ANN401
    """Bypass the FakeQuantize nodes at the inputs of *node*."""
    for port in node.inputs():
        source = port.get_source_output().get_node()
        if source.get_type_name() == "FakeQuantize":
            port.replace_source_output(source.input_value(0))
