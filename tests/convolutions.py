"""Reference convolutions in double precision, and test data for kernels."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch.nn import functional

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edge_worker.m2fp.types import FloatArray

ROUNDING = 2**-24  # of each sum in float32
SHAPES = (
    ((1, 1, 32), 32),
    ((7, 5, 32), 64),
    ((16, 36, 96), 32),
    ((9, 300, 64), 96),
    ((12, 17, 544), 32),
)
"""(height, width, channels) and filters: smaller and larger than the kernels' tiles, and not multiples of them."""


def drawn(*shape: int, seed: int = 0) -> FloatArray:
    """Return random numbers of many magnitudes."""
    random = np.random.default_rng(seed)
    return (random.standard_normal(shape) * np.exp2(random.integers(-8, 8, shape))).astype(np.float32)


def convolved(source: FloatArray, weights: FloatArray, stride: int = 1) -> NDArray[np.float64]:
    """Convolve (height, width, channels) with (filters, kernel, kernel, channels): (rows, columns, filters)."""
    image, filters = (torch.from_numpy(one.astype(np.float64)) for one in (source, weights))
    maps = functional.conv2d(
        image.permute(2, 0, 1)[None], filters.permute(0, 3, 1, 2), stride=stride, padding=weights.shape[1] // 2
    )
    return maps[0].permute(1, 2, 0).contiguous().numpy()
