"""The label map of any votes, by the compiled kernel and without it, against whole arrays in double precision."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import numpy as np
import pytest
from geometries import blobs, geometries, mask_size
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_worker.m2fp.parallel import one_by_one
from edge_worker.m2fp.postprocess.query_mask import query_masks
from edge_worker.m2fp.postprocess.resample import Enlargement, enlargement
from edge_worker.m2fp.postprocess.semantic_map import Vote, label_map
from edge_worker.m2fp.preprocess import Geometry
from edge_worker.m2fp.types import Box, Size

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

pytestmark = pytest.mark.usefixtures("masks_read")

CLASSES = 4

# Values that differ by less may come to either side by rounding.
ROUNDING = 1e-5


def votes_of(to_frame: Enlargement, low: Size, seed: int) -> list[Vote]:
    """Up to eight votes, several of a class, some of them for the background."""
    random = np.random.default_rng(seed)
    masks = query_masks(list(blobs(int(random.integers(0, 9)), low, seed)), to_frame, one_by_one)
    return [
        Vote(int(random.integers(CLASSES)), float(random.choice([0.500001, 0.6, 0.9, 1.0])), mask)
        for mask in masks
        if mask is not None
    ]


def means(votes: Sequence[Vote], to_frame: Enlargement) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """The values of all classes, (CLASSES, H, W), and the pixels at which a vote is too near the threshold to tell."""
    sums, counts = np.zeros((2, CLASSES, *to_frame.size))
    doubtful = np.zeros(to_frame.size, np.bool_)
    for class_id, score, mask in votes:
        rows, columns = (axis.matrix.astype(np.float64) for axis in (to_frame.rows, to_frame.columns))
        value = score / (1 + np.exp(-(rows @ mask.logits @ columns.T)))
        sums[class_id] += np.where(value > 0.5, value, 0)
        counts[class_id] += value > 0.5
        doubtful |= np.abs(value - 0.5) < ROUNDING
    return sums / np.maximum(counts, 1), doubtful


@settings(deadline=None)
@given(geometries(), st.integers(0, 10_000))
def test_highest_mean_names_the_pixel(geometry: Geometry, seed: int) -> None:
    """Votes count where they exceed a half, a class by the mean of its own; background is where none does."""
    low = mask_size(geometry)
    to_frame = enlargement(low, geometry)
    votes = votes_of(to_frame, low, seed)
    values, doubtful = means(votes, to_frame)
    ordered = np.sort(values, axis=0)
    clear = ~doubtful & ((ordered[-1] - ordered[-2] > ROUNDING) | (ordered[-1] == 0))
    labels = label_map(votes, to_frame, one_by_one)
    assert labels.dtype == np.uint8
    np.testing.assert_array_equal(labels[clear], values.argmax(axis=0)[clear])


def test_threads_change_nothing() -> None:
    """In pieces and at once the label map is the same."""
    geometry = Geometry(Size(500, 300), Size(160, 96), Box(0, 0, 160, 96))
    to_frame = enlargement(mask_size(geometry), geometry)
    votes = votes_of(to_frame, mask_size(geometry), 9)
    assert len({vote.class_id for vote in votes}) > 1
    labels = label_map(votes, to_frame, one_by_one)
    assert labels.any()
    with ThreadPoolExecutor(3) as pool:
        np.testing.assert_array_equal(label_map(votes, to_frame, pool.map), labels)
