"""Masks are read as they are told to be, by the compiled kernel and without it."""

from __future__ import annotations

import numpy as np
import published
import pytest
import torch
from geometries import blobs, geometries, mask_size
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_worker.m2fp.parallel import one_by_one
from edge_worker.m2fp.postprocess.query_mask import query_masks
from edge_worker.m2fp.postprocess.resample import enlargement
from edge_worker.m2fp.preprocess import Geometry
from edge_worker.m2fp.types import Box, Size

pytestmark = pytest.mark.usefixtures("masks_read")

# Logits this near to nothing may fall to either side by rounding.
ROUNDING = 2e-4


@settings(deadline=None)
@given(geometries(), st.integers(0, 1000))
def test_masks_are_read_as_published(geometry: Geometry, seed: int) -> None:
    """For any geometry and logits: the pixels, the box around them, and the mean of their sigmoids."""
    low = mask_size(geometry)
    logits = blobs(1, low, seed)
    values = published.enlarged(torch.from_numpy(logits), geometry)[0].double().numpy()
    (found,) = query_masks([logits[0]], enlargement(low, geometry), one_by_one)
    if found is None:
        assert values.max() <= ROUNDING
        return
    mask = found.region.mask
    assert (np.abs(values[mask != (values > 0)]) <= ROUNDING).all()
    rows, columns = np.nonzero(mask)
    if not rows.size:
        assert found.region.box == Box(0, 0, 0, 0)
        assert found.quality == 0
        return
    assert found.region.box == Box(*map(int, (columns.min(), rows.min(), np.ptp(columns) + 1, np.ptp(rows) + 1)))
    assert found.quality == pytest.approx((1 / (1 + np.exp(-values[mask]))).mean(), abs=1e-4)


@settings(deadline=None, max_examples=20)
@given(geometries(), st.sampled_from([np.nan, np.inf, -np.inf]), st.integers(0, 1000))
def test_logits_that_are_no_numbers(geometry: Geometry, strange: float, seed: int) -> None:
    """Whatever a broken network says, the mask lies in the frame and its quality is none or at most 1."""
    low = mask_size(geometry)
    logits = blobs(1, low, seed)[0]
    logits[np.random.default_rng(seed).random(logits.shape) < 0.3] = strange
    with np.errstate(invalid="ignore"):
        (found,) = query_masks([logits], enlargement(low, geometry), one_by_one)
    if found is not None:
        assert found.region.mask.shape == (geometry.frame.height, geometry.frame.width)
        assert not found.quality > 1


def test_any_layout_of_logits() -> None:
    """Logits that are not contiguous, or not of single precision, are read all the same."""
    geometry = Geometry(Size(200, 100), Size(96, 64), Box(0, 0, 96, 48))
    low = mask_size(geometry)
    logits = blobs(1, low, 3)[0]
    to_frame = enlargement(low, geometry)
    same = (logits, np.asfortranarray(logits), logits.astype(np.float64), np.repeat(logits, 2, axis=1)[:, ::2])
    expected, *others = query_masks(same, to_frame, one_by_one)
    assert expected is not None
    for found in others:
        assert found is not None
        np.testing.assert_array_equal(found.region.mask, expected.region.mask)
        assert found.quality == expected.quality


def test_masks_lie_apart() -> None:
    """Of many queries each has the mask that it has alone, and those that are nothing anywhere have none."""
    geometry = Geometry(Size(200, 100), Size(96, 64), Box(0, 0, 96, 48))
    low = mask_size(geometry)
    to_frame = enlargement(low, geometry)
    logits = [*blobs(5, low, 3), np.full((low.height, low.width), -1, np.float32), *blobs(3, low, 4)]
    together = query_masks(logits, to_frame, one_by_one)
    alone = [query_masks([one], to_frame, one_by_one)[0] for one in logits]
    assert [mask is None for mask in together] == [mask is None for mask in alone]
    assert together[5] is None
    for one, other in zip(together, alone, strict=True):
        if one and other:
            np.testing.assert_array_equal(one.region.mask, other.region.mask)
            assert one.region.pixels == np.count_nonzero(one.region.mask)
    assert query_masks([], to_frame, one_by_one) == []
