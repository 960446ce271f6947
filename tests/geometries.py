"""Possible positions of frames in a network's input, and masks for them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from hypothesis import strategies as st

from edge_worker.m2fp.preprocess import Geometry
from edge_worker.m2fp.types import Box, Size

if TYPE_CHECKING:
    from numpy.typing import NDArray

MASK_STRIDE = 4


@st.composite
def geometries(draw: st.DrawFn) -> Geometry:
    """Draw any frame in any window of any padded input."""
    side = st.integers(1, 5).map(lambda count: 32 * count)
    padded = Size(draw(side), draw(side))
    x, y = draw(st.integers(0, padded.width - 1)), draw(st.integers(0, padded.height - 1))
    window = Box(x, y, draw(st.integers(1, padded.width - x)), draw(st.integers(1, padded.height - y)))
    return Geometry(Size(draw(st.integers(1, 400)), draw(st.integers(1, 400))), padded, window)


def mask_size(geometry: Geometry) -> Size:
    """Return the size of a network's masks for its input."""
    return Size(geometry.padded.width // MASK_STRIDE, geometry.padded.height // MASK_STRIDE)


def blobs(count: int, size: Size, seed: int) -> NDArray[np.float32]:
    """Return mask logits (count, h, w) of all kinds: isolated discs, stripes, noise; some nowhere positive."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[: size.height, : size.width]
    masks = random.normal(0, random.choice([0.1, 3.0], (count, 1, 1)), (count, size.height, size.width))
    for mask in masks:
        far = np.hypot(x - random.uniform(0, size.width), y - random.uniform(0, size.height))
        mask[:] += random.choice([0, 20]) * (1 - far / random.uniform(1, max(size))) - random.choice([0, 0, 5])
    return masks.astype(np.float32)
