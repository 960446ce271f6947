"""Post-training quantisation by NNCF: int8 where it is fast and does little harm.

Convolutions of the backbone and the pixel decoder, and the feed-forward layers of its encoder: most of the arithmetic.
Attention, the sampling of deformable attention, the whole transformer decoder and the heads stay as they are:
quantised, they ruin detectors of this kind (RT-DETR's precision fell from 0.65 to 0.0002).
"""

from __future__ import annotations

import logging
import os
import re
from typing import TYPE_CHECKING, Any, TypeVar, cast

import openvino
from openvino._offline_transformations import compress_quantize_weights_transformation

from edge_worker.m2fp.directory import ONNX_FILE

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence
    from pathlib import Path
    from types import ModuleType

    from edge_worker.m2fp.directory import ModelDirectory
    from edge_worker.m2fp.types import FloatArray

T = TypeVar("T")

_PRODUCTS = frozenset({"Convolution", "GroupConvolution", "MatMul"})

# Scopes as the exporter names them: group, then the rest. The heads' features are a product with them, hence a head.
_BACKBONE = re.compile(r"/(backbone/[^/]+)/")
_PIXEL_DECODER = re.compile(r"/(pixel_decoder/(?!mask_features)[^/.]+)(?!.*/self_attn/)")


class QuantisedNetwork:
    """A network of which everything is quantised that may be; any group of layers can be left out again."""

    def __init__(self, model: ModelDirectory, frames: Sequence[T], load: Callable[[T], FloatArray]) -> None:
        """Quantise an exported *model* by the ranges that its values take on *frames*.

        *load* makes a frame the network's input, float32 1×3×H×W.
        """
        network = openvino.Core().read_model(model.path / ONNX_FILE)
        self._network = _quantise(network, frames, load)
        self.groups = tuple(dict.fromkeys(group for node in network.get_ordered_ops() if (group := _group(node))))

    def write(self, file: Path, without: Collection[str]) -> None:
        """Write it as OpenVINO's XML *file* and the weights beside it; groups in *without* stay in floating point."""
        network = self._network.clone()
        for node in network.get_ordered_ops():
            if _group(node) in without:
                _leave_out(node)
        compress_quantize_weights_transformation(network)  # kept as bytes; only now, so that layers could be left out
        openvino.save_model(network, file, compress_to_fp16=False)


def load_nncf() -> ModuleType:
    """NNCF, an extra that is slow to import, in silence: left alone it reports to its makers what it is used for."""
    os.environ["NNCF_CI"] = "1"
    import nncf  # noqa: PLC0415 - an extra

    nncf.set_log_level(logging.ERROR)
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
            disable_bias_correction=True,  # it moves biases, also of layers that are left out later
            backend_params={"compress_weights": False},
        ),
    )


def _group(node: Any) -> str | None:  # noqa: ANN401 - OpenVINO has no types
    """The group that a node is quantised in; None: it is not."""
    name = node.get_friendly_name()
    if found := _BACKBONE.match(name):  # additions and poolings, too: products can then hand bytes to each other
        return found[1]
    if node.get_type_name() in _PRODUCTS and (found := _PIXEL_DECODER.match(name)):
        return found[1]
    return None


def _leave_out(node: Any) -> None:  # noqa: ANN401
    """Connect *node* with what its quantised inputs were made of."""
    for port in node.inputs():
        source = port.get_source_output().get_node()
        if source.get_type_name() == "FakeQuantize":
            port.replace_source_output(source.input_value(0))
