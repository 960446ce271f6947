"""A frame divided among owners: every pixel counts once, and what is told of a patch is true."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_worker.m2fp.postprocess.partition import NOBODY, Partition
from edge_worker.m2fp.types import Box, Region, Size


@settings(deadline=None)
@given(st.integers(1, 30), st.integers(1, 30), st.integers(0, 5), st.integers(0, 10_000))
def test_patches_are_the_frame(width: int, height: int, count: int, seed: int) -> None:
    """The first region has a pixel; patches do not overlap, cover all, and know their pixels and box."""
    random = np.random.default_rng(seed)
    label_map = random.choice(np.array([0, 1, 7, 255], np.uint8), (height, width))
    masks = random.random((count, height, width)) < random.random((count, 1, 1))
    partition = Partition([Region.from_mask(mask, Size(width, height)) for mask in masks], label_map)
    owners = np.where(masks.any(axis=0), count - masks.argmax(axis=0), NOBODY) if count else np.zeros_like(label_map)
    seen = np.zeros((height, width), int)
    for patch in partition.patches:
        expected = (owners == patch.rank) & (label_map == patch.class_id)
        seen += expected
        assert patch.pixels == np.count_nonzero(expected) > 0
        assert patch.box == Region.from_mask(expected, Size(width, height)).box
        np.testing.assert_array_equal(partition.region(patch).mask, expected)
    assert (seen == 1).all()
    assert list(partition.patches) == sorted(partition.patches)


def test_owned_and_shared() -> None:
    """What one owner has, and whose pixels of a label lie in a region."""
    label_map = np.array([[5, 5, 5, 5], [5, 5, 0, 5]], np.uint8)
    frame = Size(4, 2)
    left = Region.from_mask(np.ones((2, 2), np.bool_), frame)
    middle = Region.from_mask(np.ones((2, 2), np.bool_), frame, x=1)
    partition = Partition([left, middle], label_map)
    of_left = [patch for patch in partition.patches if patch.rank == 2]
    np.testing.assert_array_equal(partition.owned(of_left).mask, left.mask)
    *_, of_middle = (partition.owned([patch]) for patch in partition.patches if patch.rank == 1)
    assert (of_middle.pixels, of_middle.box) == (1, Box(2, 0, 1, 1))
    fives = [patch for patch in partition.patches if patch.class_id == 5]
    whole = Region.from_mask(np.ones((2, 4), np.bool_), frame)
    assert partition.shared([whole, middle, left], fives) == [[2, 1, 4], [0, 1, 2], [0, 0, 4]]
