"""Arrays are checked before C is entered."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from edge_worker.m2fp.kernels import deformable
from edge_worker.m2fp.kernels.arrays import address_of
from edge_worker.m2fp.kernels.convolution import Layer, Task
from edge_worker.m2fp.kernels.workers import Workers

GOOD = np.zeros((4, 6), np.float32)


@pytest.mark.parametrize(
    ("array", "words"),
    [
        (GOOD.astype(np.float64), r"float64 \(4, 6\)"),
        (GOOD[:2], r"float32 \(2, 6\)"),
        (GOOD.T.copy().T, "with strides"),
        (GOOD.reshape(-1), r"float32 \(24,\)"),
    ],
)
def test_an_array_of_another_kind_is_named(array: np.ndarray[Any, Any], words: str) -> None:
    """Type, shape and strides are told beside what is wanted."""
    with pytest.raises(ValueError, match=rf"value should be float32 \(4, 6\), C-contiguous, not .*{words}"):
        address_of(array, "value", np.float32, (4, 6))


def test_an_array_of_the_right_kind_gives_its_address() -> None:
    """It is that of its first element."""
    assert address_of(GOOD, "value", np.float32, (4, 6)) == GOOD.ctypes.data


@pytest.mark.skipif(not deformable.is_built(), reason="the kernel was not built (no compiler)")
@pytest.mark.parametrize("wrong", ["value", "projected", "sizes", "out"])
def test_sampling_refuses_arrays_that_do_not_fit_each_other(wrong: str) -> None:
    """A level that claims more cells than there are values would be read behind the end of the array."""
    arrays: dict[str, np.ndarray[Any, Any]] = {
        "value": np.zeros((6, 32), np.float32),
        "projected": np.zeros((6, deformable.POINTS * 3), np.float32),
        "sizes": np.array([[2, 3]], np.int32),
        "out": np.zeros((6, 32), np.float32),
    }
    deformable.sample(**arrays, workers=Workers(1))
    arrays[wrong] = np.array([[3, 3]], np.int32) if wrong == "sizes" else arrays[wrong][:5]
    with pytest.raises(ValueError, match="should be"):
        deformable.sample(**arrays, workers=Workers(1))


@pytest.mark.parametrize("wrong", ["source", "weights", "bias", "added", "out"])
def test_a_convolution_refuses_arrays_that_do_not_fit_each_other(wrong: str) -> None:
    """Sizes follow from the source's shape and the layer."""
    arrays: dict[str, np.ndarray[Any, Any]] = {
        "source": np.zeros((8, 8, 32), np.float32),
        "weights": np.zeros(32 * 9 * 32 * 4, np.uint8),
        "bias": np.zeros(32, np.float32),
        "added": np.zeros((8, 8, 32), np.float32),
        "out": np.zeros((8, 8, 32), np.float32),
    }

    def describe() -> Task:
        layer = Layer(arrays["weights"], arrays["bias"], 3, 1, rectified=True)
        return Task.of(arrays["source"], layer, arrays["added"], arrays["out"])

    assert describe()
    arrays[wrong] = arrays[wrong][:-1]
    with pytest.raises(ValueError, match=r"should be|no such convolution"):
        describe()
