"""The compiled kernel for deformable attention, against the network's own operators."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from torch.nn import functional

from edge_worker.m2fp.kernels import deformable
from edge_worker.m2fp.kernels.workers import Workers
from edge_worker.m2fp.network.pixel_decoder import MSDeformAttn, _cell_centres

if TYPE_CHECKING:
    from checkpoints import Golden

    from edge_worker.m2fp.directory import ModelDirectory

built = pytest.mark.skipif(not deformable.is_built(), reason="the kernel was not built (no compiler)")

SIZES = [(2, 3), (4, 5), (7, 9)]


@torch.inference_mode()
def attention(channels: int, heads: int, offset: float) -> tuple[MSDeformAttn, torch.Tensor, torch.Tensor]:
    """An attention whose points lie *offset* cells away, about, and tokens for it."""
    torch.manual_seed(0)
    layer = MSDeformAttn(channels, heads, len(SIZES)).eval()
    layer.sampling_offsets.weight.normal_(0, offset / channels**0.5)
    layer.attention_weights.weight.normal_(0, 1 / channels**0.5)
    count = sum(height * width for height, width in SIZES)
    return layer, torch.randn(1, count, channels), torch.randn(1, count, channels)


@torch.inference_mode()
def sampled(layer: MSDeformAttn, query: torch.Tensor, source: torch.Tensor, threads: int) -> torch.Tensor:
    """What the kernel makes of it, after the output projection."""
    projections = layer.sampling_offsets(query)[0], layer.attention_weights(query)[0]
    projected = torch.cat(projections, dim=1).contiguous().numpy()
    value = layer.value_proj(source)[0].contiguous().numpy()
    out = np.full_like(value, np.nan)
    deformable.sample(value, projected, np.array(SIZES, np.int32), out, Workers(threads))
    return functional.linear(torch.from_numpy(out)[None], layer.output_proj.weight, layer.output_proj.bias)


@built
@torch.inference_mode()
@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("offset", [0.5, 3.0, 1e4])
@pytest.mark.parametrize(("channels", "heads"), [(256, 8), (32, 4), (36, 3), (48, 24)])
def test_kernel_computes_what_the_operators_do(channels: int, heads: int, offset: float, threads: int) -> None:
    """Inside, across borders and far outside, for usual and odd numbers of channels and heads, in any pieces."""
    layer, query, source = attention(channels, heads, offset)
    maps = [torch.zeros(1, channels, *size) for size in SIZES]
    expected = layer(query, source, torch.cat([_cell_centres(one) for one in maps]), maps)
    torch.testing.assert_close(sampled(layer, query, source, threads), expected, atol=2e-5, rtol=1e-4)


@built
def test_offsets_that_are_no_numbers_sample_nothing() -> None:
    """Whatever a broken network says, the kernel reads inside its arrays."""
    layer, query, source = attention(32, 4, 1.0)
    with torch.inference_mode():
        layer.sampling_offsets.bias.fill_(torch.nan)
        layer.output_proj.bias.zero_()
    assert not sampled(layer, query, source, 1).any()


@pytest.mark.openvino
def test_without_the_kernel(golden: Golden, exported_golden: ModelDirectory, monkeypatch: pytest.MonkeyPatch) -> None:
    """OpenVINO's own operators give the published answer, too."""
    from edge_worker.m2fp.engines import openvino  # noqa: PLC0415
    from edge_worker.m2fp.parser import load_parser  # noqa: PLC0415

    monkeypatch.setattr(openvino, "is_built", lambda: False)
    parser = load_parser(exported_golden.path, "openvino", "f32", threads=1)
    logits = parser.infer(parser.preprocess(golden.frame))
    np.testing.assert_allclose(logits.class_logits, golden.expected["pred_logits"], atol=1e-3, rtol=0)


@pytest.mark.openvino
@built
def test_every_layer_is_fused(golden: Golden, exported_golden: ModelDirectory) -> None:
    """The kernel takes the place of all sampling in a graph that this project exports, and survives the disk."""
    import openvino  # noqa: PLC0415

    from edge_worker.m2fp.engines.sampling_fusion import fuse, sampling_operation  # noqa: PLC0415

    network: Any = openvino.Core().read_model(exported_golden.path / "model.onnx")
    network.reshape([1, 3, 96, 128])
    assert fuse(network, sampling_operation(Workers(1))) == golden.config.encoder.transformer_enc_layers
    kinds = {node.get_type_name() for node in network.get_ordered_ops()}
    assert "GridSample" not in kinds
    assert "DeformableSampling" in kinds
