"""Helpers for OpenVINO graphs and their nodes, which OpenVINO does not type."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import openvino
from openvino.passes import ConstantFolding, Manager

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Self


class Operation(openvino.Op):  # type: ignore[misc]  # OpenVINO has no types
    """Base of custom operations without attributes; subclasses infer the output types and compute the outputs."""

    def __init__(self, inputs: Sequence[Any] | None = None) -> None:
        """Connect to *inputs*, outputs of other nodes; None if OpenVINO sets them later."""
        super().__init__(self)
        if inputs is not None:
            self.set_arguments(inputs)
            self.constructor_validate_and_infer_types()

    def clone_with_new_inputs(self, inputs: Sequence[Any]) -> Self:
        """Return a new operation with other inputs."""
        return type(self)(inputs)

    def visit_attributes(self, _visitor: object) -> bool:
        """Return True: there are no attributes."""
        return True

    def has_evaluate(self) -> bool:
        """Return True: the operation can be evaluated."""
        return True


def fold_constants(network: Any) -> None:  # noqa: ANN401
    """Fold what depends only on the (now fixed) shapes, so that it no longer counts as a consumer of other nodes.

    Do not use on a quantised network: OpenVINO would lose the int8 weights, and inference takes a third longer.
    """
    manager = Manager()
    manager.register_pass(ConstantFolding())
    manager.run_passes(network)


def constant_of(node: Any) -> Any:  # noqa: ANN401
    """Return the constant array behind a node, through reshapes and casts to f32; None if there is none."""
    while node.get_type_name() in {"Reshape", "Unsqueeze"} or _is_cast_to_f32(node):
        node = node.input_value(0).get_node()
    if node.get_type_name() != "Constant":
        return None
    values = np.array(node.data)
    return values.astype(np.float32) if values.dtype == np.float16 else values


def _is_cast_to_f32(node: Any) -> bool:  # noqa: ANN401
    """Return whether a node casts weights that are stored in half precision."""
    if node.get_type_name() != "Convert" or node.get_output_element_type(0) != openvino.Type.f32:
        return False
    return bool(node.get_input_element_type(0) == openvino.Type.f16)


def users(node: Any) -> list[Any]:  # noqa: ANN401
    """Return the consumers of a node's first output."""
    return [target.get_node() for target in node.output(0).get_target_inputs()]


def only_user(node: Any, kind: str) -> Any:  # noqa: ANN401
    """Return the only consumer of a node's first output if it is of type *kind*, else None."""
    using = users(node)
    return using[0] if len(using) == 1 and using[0].get_type_name() == kind else None


def others(node: Any, source: Any) -> list[Any]:  # noqa: ANN401
    """Return the inputs of a node that do not come from the node *source*."""
    return [value for value in node.input_values() if value.get_node().get_name() != source.get_name()]


def replace(output: Any, by: Any) -> None:  # noqa: ANN401
    """Connect the consumers of *output* to *by*."""
    for target in output.get_target_inputs():
        target.replace_source_output(by)
