"""Compares a parsing with the published output by the project's criteria."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from edge_worker.m2fp.types import Instance, Parsing

MAP_AGREEMENT = 0.9995
SCORE_TOLERANCE = 1e-3
MASK_IOU = 0.999


def assert_same_map(found: NDArray[np.uint8], expected: NDArray[np.uint8], at_least: float = MAP_AGREEMENT) -> None:
    """Assert that at least this share of pixels has the same label."""
    assert found.shape == expected.shape
    assert (found == expected).mean() >= at_least


def assert_same_instances(
    parsing: Parsing, expected: Iterable[tuple[str, float, NDArray[np.bool_]]], at_least: float = MASK_IOU
) -> None:
    """Assert that the instances match the expected (label, score, mask) one to one."""
    left = [*parsing.parts, *parsing.persons]
    for label, score, mask in expected:
        match = next((one for one in left if _same(one, label, score, mask, at_least)), None)
        assert match, f"{label} of score {score:.4f} is missing; left are {_names(left)}"
        left.remove(match)
    assert not left, f"not expected: {_names(left)}"


def _same(instance: Instance, label: str, score: float, mask: NDArray[np.bool_], at_least: float) -> bool:
    if instance.label != label or abs(instance.score - score) > SCORE_TOLERANCE:
        return False
    either = np.count_nonzero(instance.mask | mask)
    return bool(either == 0 or np.count_nonzero(instance.mask & mask) / either >= at_least)


def _names(instances: Sequence[Instance]) -> str:
    return ", ".join(f"{one.label} {one.score:.4f}" for one in instances) or "none"
