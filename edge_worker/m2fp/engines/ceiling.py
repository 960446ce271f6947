"""What the processor could do at best, as OpenVINO's own kernels show, and how much a network asks of it.

The rate of one large matrix product bounds every network from below: its multiply-adds take at least that long.
"""

from __future__ import annotations

import time
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np
import openvino
from openvino import opset13 as ops

if TYPE_CHECKING:
    from pathlib import Path

    from edge_worker.m2fp.engines.base import Shape

_DEVICE = "CPU"

# Side of the matrices: large enough that moving them does not count.
_SIDE = 4096


def matrix_rate(precision: str, threads: int, repeats: int = 3) -> float:
    """Floating-point operations a second of a matrix product of side 4096, the best of *repeats*."""
    weights = np.random.default_rng(0).standard_normal((_SIDE, _SIDE), np.float32)
    left = ops.parameter([_SIDE, _SIDE], np.float32)
    product = ops.matmul(left, ops.constant(weights), transpose_a=False, transpose_b=True)
    settings: dict[str, Any] = {
        "INFERENCE_PRECISION_HINT": precision,
        "INFERENCE_NUM_THREADS": threads,
        "NUM_STREAMS": 1,
        "ENABLE_CPU_PINNING": False,
    }
    request = openvino.Core().compile_model(openvino.Model([product], [left]), _DEVICE, settings).create_infer_request()
    request.infer({0: weights}, share_inputs=True)
    best = min(_seconds(request, weights) for _ in range(repeats))
    return 2.0 * _SIDE**3 / best


def _seconds(request: openvino.InferRequest, operand: np.ndarray) -> float:
    began = time.perf_counter()
    request.infer({0: operand}, share_inputs=True)
    return time.perf_counter() - began


def multiply_adds(onnx: Path, shape: Shape) -> int:
    """Multiply-adds of the matrix products and convolutions of a network, for inputs of this height and width."""
    network = openvino.Core().read_model(onnx)
    network.reshape([1, 3, *shape])
    return sum(_COUNTS[node.get_type_name()](node) for node in network.get_ops() if node.get_type_name() in _COUNTS)


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
