"""The enlargement is the two bilinear resizes of the published pipeline in one, and knows where masks can be."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import published
import torch
from geometries import geometries, mask_size
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_worker.m2fp.postprocess.resample import BLOCK, TAPS, enlargement, padded_window
from edge_worker.m2fp.types import Box

if TYPE_CHECKING:
    from edge_worker.m2fp.preprocess import Geometry


@settings(deadline=None)
@given(geometries(), st.integers(0, 1000))
def test_same_as_two_resizes(geometry: Geometry, seed: int) -> None:
    """For any geometry each pixel is what resizing, cropping and resizing again gives."""
    low = mask_size(geometry)
    logits = np.random.default_rng(seed).normal(0, 5, (low.height, low.width)).astype(np.float32)
    padded = published.resize(torch.from_numpy(logits)[None], *geometry.padded)
    expected = published.resize(published.crop(padded, geometry), *geometry.frame)[0].numpy()
    whole = Box(0, 0, *geometry.frame)
    found = np.concatenate([values for _, values in enlargement(low, geometry).strips(logits, whole)])
    np.testing.assert_allclose(found, expected, atol=2e-3)
    window = padded_window(low, geometry)
    found = np.concatenate([values for _, values in window.strips(logits, Box(0, 0, *window.size[::-1]))])
    np.testing.assert_allclose(found, published.crop(padded, geometry)[0].numpy(), atol=2e-3)


@settings(deadline=None)
@given(geometries(), st.integers(0, 1000))
def test_nothing_is_positive_outside_the_box(geometry: Geometry, seed: int) -> None:
    """The box in which a mask is enlarged holds all of its pixels, and its strips are a part of the whole."""
    low = mask_size(geometry)
    random = np.random.default_rng(seed)
    logits = random.normal(-4, 1, (low.height, low.width)).astype(np.float32)
    logits[random.integers(low.height), random.integers(low.width)] = 9
    to_frame = enlargement(low, geometry)
    whole = np.concatenate([values for _, values in to_frame.strips(logits, Box(0, 0, *geometry.frame))])
    nothing, box = to_frame.positive_boxes([np.full_like(logits, -1), logits])
    assert nothing is None
    if box is None:
        assert not (whole > 0).any()
        return
    part = np.full((box.height, box.width), np.nan, np.float32)
    for rows, values in to_frame.strips(logits, box):
        part[rows] = values
    np.testing.assert_allclose(part, whole[box.slices], atol=1e-4)
    outside = np.ones(whole.shape, bool)
    outside[box.slices] = False
    assert not (whole[outside] > 0).any()


@settings(deadline=None)
@given(geometries())
def test_the_kernel_reads_the_matrix(geometry: Geometry) -> None:
    """Each pixel depends on few neighbouring logits, first and last rise, and zeros follow the weights."""
    to_frame = enlargement(mask_size(geometry), geometry)
    for axis in (to_frame.rows, to_frame.columns):
        assert axis.weights.flags.c_contiguous
        assert not axis.weights[:, -BLOCK:].any()
        assert (np.diff(axis.first) >= 0).all()
        assert (np.diff(axis.last) >= 0).all()
        assert (axis.last - axis.first < TAPS).all()
        logits = np.arange(len(axis.weights))
        within = (logits >= axis.first[:, None]) & (logits <= axis.last[:, None])
        np.testing.assert_array_equal(np.where(within, axis.matrix, 0), axis.matrix)
