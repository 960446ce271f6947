"""Replaces convolutions and matrix products of an OpenVINO graph by an operation that runs a kernel of ours.

The kernel is that of ``products`` or of ``winograd``. With bias, sum and rectifier behind them where those are. What is
no such operation, or too small to gain by it, stays.
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

# Multiply-adds below which nothing is replaced: a call has a price, and maps may have to be transposed.
LEAST = 2**27

_TO_CHANNELS_LAST = (0, 2, 3, 1)
_TO_CHANNELS_FIRST = (0, 3, 1, 2)


class Kernel(Protocol):
    """A module that computes convolutions: ``products``, ``winograd``."""

    KERNEL: str

    def suits(self, kernel: int, stride: int, size: tuple[int, int]) -> bool:
        """Whether it computes such ones, of a map of this size (height, width), and is worth it."""

    def packed(self, weights: FloatArray) -> NDArray[np.uint8]:
        """Weights, (filters, kernel, kernel, channels), as it reads them."""

    def convolve(
        self, source: FloatArray, layer: Layer, added: FloatArray | None, out: FloatArray, workers: Workers
    ) -> None:
        """Compute one."""


def product_operation(kernel: Kernel, workers: Workers) -> type[openvino.Op]:
    """The operation (source, weights, bias, window, added or nothing) → out of the kernel's ``convolve``.

    Maps are (1, height, width, channels); without the width they are rows of a matrix. The window is (kernel, stride,
    rectified). Made for each engine: a compiled graph that is kept on disk knows its name only, not who does the work.
    """

    class Product(Operation):
        """One convolution or matrix product."""

        def validate_and_infer_types(self) -> None:
            """A map that is smaller by the stride, of as many channels as there are filters."""
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
    """The same without the batch's axis; rows of a matrix as a map one column wide."""
    return array.reshape(array.shape[1], -1, array.shape[-1])


class _Found(NamedTuple):
    """What one operation will do.

    Attributes:
        source: output of the node before it.
        weights: float32 (filters, kernel, kernel, channels).
        kernel, stride: of the window.
        size: height and width of the result; rows of a matrix are one cell wide.
        is_map: whether source and result are maps, channels first.
    """

    source: Any
    weights: FloatArray
    kernel: int
    stride: int
    size: tuple[int, int]
    is_map: bool


class Replacement:
    """The operation's way into one graph, in which it keeps maps channels last from one product to the next."""

    def __init__(self, kernel: Kernel, operation: type[openvino.Op]) -> None:
        """Put *operation*, which runs *kernel*, into a graph."""
        self._kernel, self._operation = kernel, operation
        self._channels_last: dict[tuple[str, int], Any] = {}  # by the output that has the same channels first

    def replace(self, network: openvino.Model) -> int:
        """Replace what is worth it in a *network* of fixed shape; how many there were."""
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
        rectifier = only_user(last, "Relu")
        window = np.array([found.kernel, found.stride, rectifier is not None], np.int32)
        constants = (self._kernel.packed(found.weights), bias, window)
        source = self._last(found.source) if found.is_map else found.source
        inputs = [source, *(ops.constant(array).output(0) for array in constants), *added]
        product = self._operation(inputs)
        self._put(product, rectifier or last, is_map=found.is_map)

    def _put(self, product: Any, place: Any, *, is_map: bool) -> None:  # noqa: ANN401
        """Let the users of *place* have the product instead."""
        result = product
        if is_map:
            result = ops.transpose(product, ops.constant(np.array(_TO_CHANNELS_FIRST)))
            self._channels_last[_key(result.output(0))] = product.output(0)
        replace(place.output(0), result.output(0))

    def _last(self, output: Any) -> Any:  # noqa: ANN401
        """The same map channels last."""
        if _key(output) not in self._channels_last:
            turned = ops.transpose(output, ops.constant(np.array(_TO_CHANNELS_LAST)))
            self._channels_last[_key(output)] = turned.output(0)
        return self._channels_last[_key(output)]

    def _added(self, node: Any, *, is_map: bool) -> tuple[list[Any], Any]:  # noqa: ANN401
        """What is added to a node's result by its only user, and that user; nothing, and the node itself.

        Of two products that are added the later one does it: the map of the other is channels last by then.
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
    """What can be replaced at a *node*, and is worth it."""
    kind = node.get_type_name()
    found = _convolution(node) if kind == "Convolution" else _matrix_product(node) if kind == "MatMul" else None
    if found is None:
        return None
    fits = found.weights.shape[-1] % UNIT == 0 and len(found.weights) % UNIT == 0
    height, width = found.size
    return found if fits and height * width * found.weights.size >= LEAST else None


def _convolution(node: Any) -> _Found | None:  # noqa: ANN401
    weights, attributes = constant_of(node.input_value(1).get_node()), node.get_attributes()
    if weights is None:  # computed, as from bytes in a quantised network
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
    # What is one cell high are rows that were turned for it: turning them again would take longer than it saves.
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
    """The node that adds a bias to *node*, and the bias; *node* itself and zeros where there is none."""
    filters = len(found.weights)
    user = only_user(node, "Add")
    for value in others(user, node) if user is not None else []:
        bias = constant_of(value.get_node())
        if bias is not None and _spread(value) == ([filters, 1, 1] if found.is_map else [filters]):
            return user, np.ascontiguousarray(bias.reshape(-1), np.float32)
    return node, np.zeros(filters, np.float32)


def _spread(output: Any) -> list[int]:  # noqa: ANN401
    """The shape of an output without the ones that it begins with."""
    return list(dropwhile(lambda length: length == 1, output.get_shape()))
