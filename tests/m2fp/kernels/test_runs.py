"""The compiled search for runs, against NumPy's."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from edge_worker.m2fp.kernels import runs
from edge_worker.m2fp.postprocess.partition import find_runs_plainly

pytestmark = pytest.mark.skipif(not runs.is_built(), reason="the kernel was not built (no compiler)")


@settings(deadline=None, max_examples=100)
@given(st.integers(0, 9), st.integers(1, 200), st.floats(0, 1), st.integers(0, 10_000))
@example(3, 96, 0.0, 0)  # nothing changes
@example(3, 97, 1.0, 0)  # everything does
def test_kernel_finds_the_runs_that_numpy_finds(height: int, width: int, change: float, seed: int) -> None:
    """Of any width, whether labels and owners change often or never: the same places and keys."""
    random = np.random.default_rng(seed)
    steps = random.random((2, height, width)) < change
    owners, labels = (random.integers(0, 256, (2, height, width)) * steps).astype(np.uint8)
    for found, expected in zip(runs.find_runs(owners, labels), find_runs_plainly(owners, labels), strict=True):
        np.testing.assert_array_equal(found, expected)


def test_arrays_of_other_shapes_are_refused() -> None:
    """They would be read out of bounds."""
    with pytest.raises(ValueError, match="owners should be uint8"):
        runs.find_runs(np.zeros((2, 3), np.uint8), np.zeros((2, 4), np.uint8))
