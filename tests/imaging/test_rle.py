from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from pycocotools import mask as coco

from edge_worker.imaging.rle import rle
from edge_worker.m2fp.types import Region, Size

if TYPE_CHECKING:
    from edge_worker.m2fp.types import BoolArray


# pycocotools 2.0.11's decode on numpy 2; the encoder under test does not do it.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


def _region(mask: BoolArray) -> Region:
    return Region.from_mask(mask, Size(mask.shape[1], mask.shape[0]))


@given(arrays(np.bool_, array_shapes(min_dims=2, max_dims=2, max_side=12), fill=st.booleans()))
def test_the_string_is_pycocotools_own(mask: BoolArray) -> None:
    """Any mask gives, character for character, what pycocotools writes for the full frame, and decodes to the mask."""
    encoded = rle(_region(mask))
    expected = coco.encode(np.asfortranarray(mask.astype(np.uint8)))
    assert encoded == {"size": expected["size"], "counts": expected["counts"].decode()}
    assert (coco.decode(encoded) == mask).all()


@pytest.mark.parametrize(
    ("rows", "columns"), [((0, 50), (10, 20)), ((0, 50), (0, 80)), ((20, 50), (79, 80)), ((0, 1), (0, 1))]
)
def test_boxes_at_the_borders(rows: tuple[int, int], columns: tuple[int, int]) -> None:
    """Full columns run into each other, and a mask may begin at the first pixel and end at the last."""
    mask = np.zeros((50, 80), np.bool_)
    mask[slice(*rows), slice(*columns)] = True
    assert (coco.decode(rle(_region(mask))) == mask).all()


def test_nothing_is_a_run_of_zeros() -> None:
    """An empty mask is valid, too."""
    assert not coco.decode(rle(_region(np.zeros((4, 6), np.bool_)))).any()
