"""Peak rate of the processor, measured with OpenVINO's own kernels, and the number of multiply-adds of a network.

The rate of one large matrix product gives a lower bound on the time of a network's multiply-adds.
"""

from __future__ import annotations

import time
from collections import Counter
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np
import openvino
from openvino import opset13 as ops

if TYPE_CHECKING:
    from pathlib import Path

    from edge_worker.m2fp.engines.base import Shape

_DEVICE = "CPU"

# Side of the matrices: large enough that memory transfers are negligible.
_SIDE = 4096

INT8 = "int8"
# Normally distributed values are clipped to this before they are quantised to int8.
_RANGE = 4.0


def matrix_rate(precision: str, threads: int, repeats: int = 3) -> float:
    """Return operations per second of a 4096×4096 matrix product in f32, bf16, f16 or int8, the best of *repeats*."""
    operand = np.random.default_rng(0).standard_normal((_SIDE, _SIDE), np.float32)
    left = ops.parameter([_SIDE, _SIDE], np.float32)
    product = ops.matmul(*_factors(left, operand, precision), transpose_a=False, transpose_b=True)
    settings: dict[str, Any] = {
        "INFERENCE_PRECISION_HINT": "f32" if precision == INT8 else precision,
        "INFERENCE_NUM_THREADS": threads,
        "NUM_STREAMS": 1,
        "ENABLE_CPU_PINNING": False,
    }
    request = openvino.Core().compile_model(openvino.Model([product], [left]), _DEVICE, settings).create_infer_request()
    request.infer({0: operand}, share_inputs=True)
    best = min(_seconds(request, operand) for _ in range(repeats))
    return 2.0 * _SIDE**3 / best


def _factors(left: Any, weights: np.ndarray, precision: str) -> tuple[Any, Any]:  # noqa: ANN401 - OpenVINO has no types
    """Return both factors, quantised if the product is in int8."""
    if precision != INT8:
        return left, ops.constant(weights)
    low, high = np.float32(-_RANGE), np.float32(_RANGE)
    scale = _RANGE / np.iinfo(np.int8).max
    whole = ops.convert(ops.constant((weights / scale).clip(-127, 127).astype(np.int8)), np.float32)
    return ops.fake_quantize(left, low, high, low, high, 256), ops.multiply(
        whole, np.full((_SIDE, 1), scale, np.float32)
    )


def _seconds(request: openvino.InferRequest, operand: np.ndarray) -> float:
    began = time.perf_counter()
    request.infer({0: operand}, share_inputs=True)
    return time.perf_counter() - began


def multiply_adds(network: Path, shape: Shape, precision: str) -> dict[str, int]:
    """Count the multiply-adds of the matrix products and convolutions of a network by precision.

    Args:
        network: ONNX, or OpenVINO's XML.
        shape: height and width of the input.
        precision: precision of products whose weights are not int8.
    """
    graph = openvino.Core().read_model(network)
    graph.reshape([1, 3, *shape])
    found: Counter[str] = Counter()
    for node in graph.get_ops():
        if count := _COUNTS.get(node.get_type_name()):
            found[INT8 if _has_bytes(node) else precision] += count(node)
    return dict(found)


def _has_bytes(node: openvino.Node) -> bool:
    """Return whether the weights of a product are stored as int8."""
    source = node.input_value(1).get_node()
    while source.get_input_size():
        source = source.input_value(0).get_node()
    return bool(source.get_type_name() == "Constant" and source.get_element_type() == openvino.Type.i8)


def _of_product(node: openvino.Node) -> int:
    inner = node.input(0).get_shape()[-2 if node.get_attributes()["transpose_a"] else -1]
    return int(prod(node.output(0).get_shape()) * inner)


def _of_convolution(node: openvino.Node) -> int:
    _, *kernel = node.input(1).get_shape()  # (out, in, h, w)
    return int(prod(node.output(0).get_shape()) * prod(kernel))


def _of_grouped_convolution(node: openvino.Node) -> int:
    _, _, *kernel = node.input(1).get_shape()  # (groups, out, in, h, w)
    return int(prod(node.output(0).get_shape()) * prod(kernel))


_COUNTS = {
    "MatMul": _of_product,
    "Convolution": _of_convolution,
    "GroupConvolution": _of_grouped_convolution,
}
