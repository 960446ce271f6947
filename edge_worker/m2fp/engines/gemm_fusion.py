"""Replaces convolutions and matrix products of an OpenVINO graph by a custom operation that runs one of our kernels.

The kernel is that of ``kernels.gemm`` or ``kernels.winograd``. Bias, residual and ReLU that follow are fused into the
operation. Other nodes, and those too small to benefit, are left unchanged.
"""

from __future__ import annotations

from itertools import dropwhile
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np
import openvino
from openvino import opset13 as ops

from edge_worker.m2fp.engines.graph import Operation, constant_of, only_user, others, replace
from edge_worker.m2fp.kernels.convolution import UNIT, Layer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from edge_worker.m2fp.kernels.workers import Workers
    from edge_worker.m2fp.types import FloatArray

# Minimum multiply-adds to replace a node: a call has overhead, and maps may need a transpose.
LEAST = 2**27

_TO_CHANNELS_LAST = (0, 2, 3, 1)
_TO_CHANNELS_FIRST = (0, 3, 1, 2)


class Kernel(Protocol):
    """Interface of the convolution kernel modules ``gemm`` and ``winograd``."""

    KERNEL: str

    def suits(self, kernel: int, stride: int, size: tuple[int, int]) -> bool:
        """Return whether the kernel supports such a convolution on a map of this size (height, width) and is faster."""

    def packed(self, weights: FloatArray) -> NDArray[np.uint8]:
        """Pack weights (filters, kernel, kernel, channels) into the kernel's layout."""

    def convolve(
        self, source: FloatArray, layer: Layer, added: FloatArray | None, out: FloatArray, workers: Workers
    ) -> None:
        """Compute one convolution."""


def product_operation(kernel: Kernel, workers: Workers) -> type[openvino.Op]:
    """Return the operation (source, weights, bias, window[, residual]) → out that runs the kernel's ``convolve``.

    Maps are (1, height, width, channels), or (1, rows, channels) for a matrix. The window is (kernel, stride, ReLU).
    Each engine has its own class: a cached graph stores only the operation's name, not its worker threads.
    """

    class Product(Operation):
        """One convolution or matrix product."""

        def validate_and_infer_types(self) -> None:
            """Set the output shape: height and width divided by the stride, one channel per filter."""
            batch, *size, _ = self.get_input_shape(0)
            stride = int(self.input_value(3).get_node().data[1])
            shape = [batch, *(-(-length // stride) for length in size), *self.get_input_shape(2)]
            self.set_output_type(0, self.get_input_element_type(0), openvino.PartialShape(shape))

        def evaluate(self, outputs: Sequence[openvino.Tensor], inputs: Sequence[openvino.Tensor]) -> bool:
            """Run the kernel."""
            source, weights, bias, window, *added = (tensor.data for tensor in inputs)
            side, stride, rectified = window.tolist()
            layer = Layer(weights, bias, side, stride, bool(rectified))
            addend = _as_map(added[0]) if added else None
            kernel.convolve(_as_map(source), layer, addend, _as_map(outputs[0].data), workers)
            return True

    return Product


def _as_map(array: FloatArray) -> FloatArray:
    """Drop the batch axis; view the rows of a matrix as a map one column wide."""
    return array.reshape(array.shape[1], -1, array.shape[-1])


class _Found(NamedTuple):
    """Parameters of one replaced operation.

    Attributes:
        source: output of the preceding node.
        weights: float32 (filters, kernel, kernel, channels).
        kernel, stride: size and stride of the window.
        size: height and width of the result; a matrix is one cell wide.
        is_map: whether source and result are channels-first maps.
    """

    source: Any
    weights: FloatArray
    kernel: int
    stride: int
    size: tuple[int, int]
    is_map: bool


class Replacement:
    """Inserts the operation into one graph; maps stay channels last between consecutive operations."""

    def __init__(self, kernel: Kernel, operation: type[openvino.Op]) -> None:
        """Insert *operation*, which runs *kernel*."""
        self._kernel, self._operation = kernel, operation
        self._channels_last: dict[tuple[str, int], Any] = {}  # channels-last map by its channels-first output

    def replace(self, network: openvino.Model) -> int:
        """Replace suitable nodes in a *network* of fixed shape and return their number."""
        count = 0
        for node in network.get_ordered_ops():
            found = _found(node)
            if found is not None and self._kernel.suits(found.kernel, found.stride, found.size):
                self._replace(node, found)
                count += 1
        network.validate_nodes_and_infer_types()
        return count

    def _replace(self, node: Any, found: _Found) -> None:  # noqa: ANN401 - OpenVINO has no types
        last, bias = _biased(node, found)
        added, last = self._added(last, is_map=found.is_map)
        relu = only_user(last, "Relu")
        window = np.array([found.kernel, found.stride, relu is not None], np.int32)
        constants = (self._kernel.packed(found.weights), bias, window)
        source = self._last(found.source) if found.is_map else found.source
        inputs = [source, *(ops.constant(array).output(0) for array in constants), *added]
        product = self._operation(inputs)
        self._put(product, relu or last, is_map=found.is_map)

    def _put(self, product: Any, place: Any, *, is_map: bool) -> None:  # noqa: ANN401
        """Connect the consumers of *place* to *product*."""
        result = product
        if is_map:
            result = ops.transpose(product, ops.constant(np.array(_TO_CHANNELS_FIRST)))
            self._channels_last[_key(result.output(0))] = product.output(0)
        replace(place.output(0), result.output(0))

    def _last(self, output: Any) -> Any:  # noqa: ANN401
        """Return the map channels last."""
        if _key(output) not in self._channels_last:
            turned = ops.transpose(output, ops.constant(np.array(_TO_CHANNELS_LAST)))
            self._channels_last[_key(output)] = turned.output(0)
        return self._channels_last[_key(output)]

    def _added(self, node: Any, *, is_map: bool) -> tuple[list[Any], Any]:  # noqa: ANN401
        """Return the residual added by the node's only consumer, and that consumer; else nothing and the node itself.

        If two products are added, the later one fuses the sum: the map of the other is channels last by then.
        """
        user = only_user(node, "Add")
        addends = others(user, node) if user is not None else []
        if len(addends) != 1 or addends[0].get_shape() != node.output(0).get_shape():
            return [], node
        if not is_map:
            return addends, user
        known = self._channels_last.get(_key(addends[0]))
        return ([], node) if known is None else ([known], user)


def _key(output: Any) -> tuple[str, int]:  # noqa: ANN401
    return output.get_node().get_name(), output.get_index()


def _found(node: Any) -> _Found | None:  # noqa: ANN401
    """Return the parameters to replace *node*, or None if it is unsuitable or too small."""
    kind = node.get_type_name()
    found = _convolution(node) if kind == "Convolution" else _matrix_product(node) if kind == "MatMul" else None
    if found is None:
        return None
    fits = found.weights.shape[-1] % UNIT == 0 and len(found.weights) % UNIT == 0
    height, width = found.size
    return found if fits and height * width * found.weights.size >= LEAST else None


def _convolution(node: Any) -> _Found | None:  # noqa: ANN401
    weights, attributes = constant_of(node.input_value(1).get_node()), node.get_attributes()
    if weights is None:  # not constant, as in a quantised network
        return None
    kernel, stride = weights.shape[-1], attributes["strides"][0]
    margin = [kernel // 2] * 2
    usual = (
        kernel in (1, 3)
        and weights.shape[-2] == kernel
        and attributes["strides"] in ([1, 1], [2, 2])
        and attributes["dilations"] == [1, 1]
        and attributes["pads_begin"] == attributes["pads_end"] == margin
    )
    # Maps one cell high are transposed token rows: transposing them again would cost more than it saves.
    height, width = node.output(0).get_shape()[2:]
    if not usual or height == 1:
        return None
    return _Found(node.input_value(0), weights.transpose(0, 2, 3, 1), kernel, stride, (height, width), is_map=True)


def _matrix_product(node: Any) -> _Found | None:  # noqa: ANN401
    source, weights = node.input_value(0), constant_of(node.input_value(1).get_node())
    shape, attributes = source.get_shape(), node.get_attributes()
    if weights is None or attributes["transpose_a"] or (len(shape), weights.ndim) != (3, 2) or shape[0] != 1:
        return None
    filters = weights if attributes["transpose_b"] else weights.T
    return _Found(source, filters[:, None, None], kernel=1, stride=1, size=(shape[1], 1), is_map=False)


def _biased(node: Any, found: _Found) -> tuple[Any, FloatArray]:  # noqa: ANN401
    """Return the node that adds a bias to *node*, and the bias; else *node* itself and zeros."""
    filters = len(found.weights)
    user = only_user(node, "Add")
    for value in others(user, node) if user is not None else []:
        bias = constant_of(value.get_node())
        if bias is not None and _spread(value) == ([filters, 1, 1] if found.is_map else [filters]):
            return user, np.ascontiguousarray(bias.reshape(-1), np.float32)
    return node, np.zeros(filters, np.float32)


def _spread(output: Any) -> list[int]:  # noqa: ANN401
    """Return the shape of an output without its leading ones."""
    return list(dropwhile(lambda length: length == 1, output.get_shape()))
