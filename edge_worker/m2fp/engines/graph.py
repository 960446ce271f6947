"""What is asked of an OpenVINO graph and its nodes, and done to them; OpenVINO has no types for them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import openvino
from openvino.passes import ConstantFolding, Manager

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Self


class Operation(openvino.Op):  # type: ignore[misc]  # OpenVINO has no types
    """An operation of our own, without attributes; what derives says what it makes of its inputs, and computes it."""

    def __init__(self, inputs: Sequence[Any] | None = None) -> None:
        """Take the outputs of other nodes; None: OpenVINO sets them later."""
        super().__init__(self)
        if inputs is not None:
            self.set_arguments(inputs)
            self.constructor_validate_and_infer_types()

    def clone_with_new_inputs(self, inputs: Sequence[Any]) -> Self:
        """Another one, of other inputs."""
        return type(self)(inputs)

    def visit_attributes(self, _visitor: object) -> bool:
        """There are none."""
        return True

    def has_evaluate(self) -> bool:
        """It can be run."""
        return True


def fold_constants(network: Any) -> None:  # noqa: ANN401
    """Compute what depends on the shapes alone, now that they are fixed: it is no user of anything any more.

    Not for a quantised network: OpenVINO no longer sees that its weights were bytes, and it takes a third longer.
    """
    manager = Manager()
    manager.register_pass(ConstantFolding())
    manager.run_passes(network)


def constant_of(node: Any) -> Any:  # noqa: ANN401
    """The array behind a node, through reshapes; None where there is none."""
    while node.get_type_name() in {"Reshape", "Unsqueeze"}:
        node = node.input_value(0).get_node()
    return np.array(node.data) if node.get_type_name() == "Constant" else None


def users(node: Any) -> list[Any]:  # noqa: ANN401
    """The nodes that a node's first output goes to."""
    return [target.get_node() for target in node.output(0).get_target_inputs()]


def only_user(node: Any, kind: str) -> Any:  # noqa: ANN401
    """The node that alone uses a node's first output, if it is of that *kind*; else None."""
    using = users(node)
    return using[0] if len(using) == 1 and using[0].get_type_name() == kind else None


def others(node: Any, source: Any) -> list[Any]:  # noqa: ANN401
    """What a node takes besides the outputs of the node *source*."""
    return [value for value in node.input_values() if value.get_node().get_name() != source.get_name()]


def replace(output: Any, by: Any) -> None:  # noqa: ANN401
    """Let the users of an *output* have another."""
    for target in output.get_target_inputs():
        target.replace_source_output(by)
