"""The compiled kernel for gemm of float32, against double precision and against OpenVINO's own operators."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import openvino
import pytest
from convolutions import ROUNDING, SHAPES, convolved, drawn
from openvino import opset13 as ops

from edge_worker.m2fp.engines import gemm_fusion
from edge_worker.m2fp.engines.graph import fold_constants
from edge_worker.m2fp.kernels import gemm
from edge_worker.m2fp.kernels.convolution import Layer
from edge_worker.m2fp.kernels.workers import Workers

if TYPE_CHECKING:
    from edge_worker.m2fp.types import FloatArray

usable = pytest.mark.skipif(not gemm.is_usable(), reason="the kernel was not built, or the processor has no AMX")

# What is lost at most, as shares of a product: what is left of both factors, and the product of their low parts.
LOSS = 3 * 2**-16


@usable
@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize(("kernel", "stride"), [(1, 1), (3, 1), (1, 2), (3, 2)])
@pytest.mark.parametrize(("size", "filters"), [*SHAPES, ((700, 1, 256), 64)])
def test_kernel_computes_convolutions(
    size: tuple[int, int, int], filters: int, kernel: int, stride: int, threads: int
) -> None:
    """Of any size, with bias, addend and rectifier, and each result as exact as its terms allow."""
    source, weights = drawn(*size), drawn(filters, kernel, kernel, size[2], seed=1)
    plain = convolved(source, weights, stride)
    bias, added = drawn(filters, seed=2), drawn(*plain.shape, seed=3)
    out = np.full(plain.shape, np.nan, np.float32)
    layer = Layer(gemm.packed(weights), bias, kernel, stride, rectified=True)
    gemm.convolve(source, layer, added, out, Workers(threads))
    loss = LOSS + ROUNDING * (weights[0].size + 2)
    allowed = loss * (convolved(np.abs(source), np.abs(weights), stride) + np.abs(bias) + np.abs(added))
    assert (np.abs(out - np.maximum(plain + bias + added, 0)) <= allowed).all()


def block(source: Any, channels: int, filters: int, stride: int) -> Any:  # noqa: ANN401 - OpenVINO has no types
    """A residual block as ResNet's, its shortcut projected where the shape changes."""

    def convolution(last: Any, kernel: int, into: int, out: int, stride: int = 1) -> Any:  # noqa: ANN401
        weights = np.float32(np.sqrt(1 / (into * kernel**2))) * np.random.default_rng(kernel).standard_normal(
            (out, into, kernel, kernel)
        ).astype(np.float32)
        margin = [kernel // 2] * 2
        product = ops.convolution(last, weights, [stride] * 2, margin, margin, [1, 1])
        return ops.add(product, np.linspace(-1, 1, out, dtype=np.float32).reshape(1, out, 1, 1))

    inner = ops.relu(convolution(source, 1, channels, 32))
    inner = ops.relu(convolution(inner, 3, 32, 32, stride))
    inner = convolution(inner, 1, 32, filters)
    shortcut = source if channels == filters else convolution(source, 1, channels, filters, stride)
    return ops.relu(ops.add(inner, shortcut))


@pytest.mark.openvino
@usable
def test_a_graph_computes_the_same_after_replacement(monkeypatch: pytest.MonkeyPatch) -> None:
    """Convolutions and matrix gemm go with bias, addend and rectifier; between them no map is turned."""
    monkeypatch.setattr(gemm_fusion, "LEAST", 0)
    image = ops.parameter([1, 32, 20, 36], np.float32)
    maps = block(block(image, 32, 64, 2), 64, 64, 1)
    tokens = ops.transpose(ops.reshape(maps, np.array([1, 64, -1]), special_zero=False), np.array([0, 2, 1]))
    hidden = ops.relu(ops.add(ops.matmul(tokens, drawn(96, 64), False, True), drawn(96, seed=1)))
    result = ops.add(tokens, ops.matmul(hidden, drawn(96, 64, seed=2), False, False))
    network = openvino.Model([result], [image], "network")
    core, source = openvino.Core(), drawn(1, 32, 20, 36)

    def answer() -> FloatArray:
        compiled = core.compile_model(network, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
        return np.array(compiled(source)[0])

    expected = answer()
    operation = gemm_fusion.product_operation(gemm, Workers(2))
    core.add_extension(operation)
    fold_constants(network)
    assert gemm_fusion.Replacement(gemm, operation).replace(network) == 9
    kinds = [node.get_type_name() for node in network.get_ordered_ops()]
    assert not {"Convolution", "MatMul", "Relu", "Add"} & set(kinds)
    assert kinds.count("Transpose") == 3  # of the input, of the last map, and the graph's own
    np.testing.assert_allclose(answer(), expected, atol=1e-4 * np.abs(expected).max(), rtol=0)


@pytest.mark.openvino
@usable
def test_what_is_no_bias_is_not_taken_for_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """A constant for each column of a map that has as many columns as there are filters stays an addition."""
    monkeypatch.setattr(gemm_fusion, "LEAST", 0)
    image = ops.parameter([1, 32, 4, 32], np.float32)
    product = ops.convolution(image, drawn(32, 32, 1, 1), [1, 1], [0, 0], [0, 0], [1, 1])
    network = openvino.Model([ops.add(product, drawn(1, 1, 1, 32))], [image], "network")
    operation = gemm_fusion.product_operation(gemm, Workers(1))
    assert gemm_fusion.Replacement(gemm, operation).replace(network) == 1
    assert "Add" in {node.get_type_name() for node in network.get_ordered_ops()}
