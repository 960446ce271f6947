"""Replaces the sampling of deformable attention in an OpenVINO graph by a custom operation on the compiled kernel.

With standard operators most of the time is spent moving samples; the kernel never materialises them. Layers that do not
match the pattern of this project's exporter (older exports) keep their operators.
"""

from __future__ import annotations

from collections import Counter
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import numpy as np
import openvino
from openvino import opset13 as ops

from edge_worker.m2fp.engines.graph import Operation, constant_of, others, replace, users
from edge_worker.m2fp.kernels import deformable

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from edge_worker.m2fp.kernels.workers import Workers

# Scope of the operators of one deformable attention in the exported graph.
_SCOPE = "/self_attn/"


def sampling_operation(workers: Workers) -> type[openvino.Op]:
    """Return the operation (value, projected, sizes) → out that runs :func:`deformable.sample`.

    Each engine has its own class: a cached graph stores only the operation's name, not its worker threads.
    """

    class DeformableSampling(Operation):
        """One layer's sampling."""

        def validate_and_infer_types(self) -> None:
            """Set the output to the type and shape of the values."""
            self.set_output_type(0, self.get_input_element_type(0), self.get_input_partial_shape(0))

        def evaluate(self, outputs: Sequence[openvino.Tensor], inputs: Sequence[openvino.Tensor]) -> bool:
            """Run the kernel."""
            value, projected = (np.asarray(tensor.data[0], np.float32) for tensor in inputs[:2])
            out = outputs[0].data[0]
            sums = out if out.dtype == np.float32 else np.empty_like(value)  # the output is float16 in a float16 graph
            deformable.sample(value, projected, inputs[2].data, sums, workers)
            if sums is not out:
                out[:] = sums
            return True

    return DeformableSampling


def fuse(network: openvino.Model, operation: type[openvino.Op]) -> int:
    """Insert *operation* into the matching layers of a *network* of fixed shape and return their number."""
    layers: dict[str, list[Any]] = {}
    for node in network.get_ordered_ops():
        scope, found, _ = node.get_friendly_name().partition(_SCOPE)
        if found:
            layers.setdefault(scope, []).append(node)
    count = sum(_fuse_layer(nodes, operation) for nodes in layers.values())
    network.validate_nodes_and_infer_types()
    return count


def _fuse_layer(nodes: Sequence[Any], operation: type[openvino.Op]) -> bool:
    sizes = _sizes(nodes)
    if not sizes or not deformable.is_built(len(sizes)):
        return False
    with suppress(StopIteration):  # the layer does not match the pattern
        attend, projection = (_typed(nodes, "MatMul", output=output) for output in (True, False))
        inputs = (_value(_typed(nodes, "Convolution")), _next(projection, "Add").output(0))
        sums = operation([*inputs, ops.constant(np.array(sizes, np.int32)).output(0)])
        turned = attend.get_attributes()["transpose_b"]
        product = ops.matmul(sums, attend.input_value(1), transpose_a=False, transpose_b=turned)
        replace(attend.output(0), product.output(0))
        return True
    return False


def _sizes(nodes: Iterable[Any]) -> list[tuple[int, int]]:
    """Return height and width of each level, coarsest first; a level has one sampler per point."""
    samplers = [node for node in nodes if node.get_type_name() == "GridSample"]
    found = Counter(tuple(node.input(0).get_shape())[2:] for node in samplers)
    return [size for size in sorted(found) for _ in range(found[size] // deformable.POINTS)]


def _typed(nodes: Iterable[Any], kind: str, *, output: bool = False) -> Any:  # noqa: ANN401 - OpenVINO has no types
    """Return the only node of type *kind*, inside or outside the output projection."""
    return next(n for n in nodes if n.get_type_name() == kind and ("output_proj" in n.get_friendly_name()) == output)


def _next(node: Any, kind: str) -> Any:  # noqa: ANN401
    return next(user for user in users(node) if user.get_type_name() == kind)


def _value(convolution: Any) -> Any:  # noqa: ANN401
    """Return the projected values channels last, bypassing the *convolution* that makes them channels first."""
    biased = _next(convolution, "Add")
    (bias,) = (constant_of(value.get_node()) for value in others(biased, convolution))
    weight = constant_of(convolution.input_value(1).get_node())
    channels = len(weight)
    product = ops.matmul(
        _tokens(convolution.input_value(0)), weight.reshape(channels, -1), transpose_a=False, transpose_b=True
    )
    return ops.add(product, bias.reshape(channels)).output(0)


def _tokens(output: Any) -> Any:  # noqa: ANN401
    """Return the source (1, N, C) of tokens that were reshaped into an image."""
    while output.get_node().get_type_name() in {"Reshape", "Unsqueeze", "Transpose"}:
        output = output.get_node().input_value(0)
    return output
