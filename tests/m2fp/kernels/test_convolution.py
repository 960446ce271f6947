"""What every compiled kernel for convolutions promises."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from convolutions import drawn

from edge_worker.m2fp.kernels import gemm, winograd
from edge_worker.m2fp.kernels.convolution import Layer
from edge_worker.m2fp.kernels.workers import Workers

if TYPE_CHECKING:
    from edge_worker.m2fp.engines.gemm_fusion import Kernel


def usable(kernel: Kernel, *, runs: bool) -> object:
    skipped = pytest.mark.skipif(not runs, reason="the kernel was not built, or the processor cannot run it")
    return pytest.param(kernel, marks=skipped, id=kernel.KERNEL)


@pytest.mark.parametrize("kernel", [usable(gemm, runs=gemm.is_usable()), usable(winograd, runs=winograd.is_usable())])
def test_weights_may_lie_anywhere(kernel: Kernel) -> None:
    """OpenVINO aligns constants in a network from the disk to nothing."""
    source, packed = drawn(8, 8, 64), kernel.packed(drawn(32, 3, 3, 64, seed=1))
    room = np.zeros(len(packed) + 1, np.uint8)
    room[1:] = packed
    found = []
    for one in (packed, room[1:]):
        out = np.empty((8, 8, 32), np.float32)
        kernel.convolve(source, Layer(one, np.zeros(32, np.float32), 3, 1, rectified=False), None, out, Workers(1))
        found.append(out)
    np.testing.assert_array_equal(found[1], found[0])
