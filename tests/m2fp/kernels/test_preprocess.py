"""The compiled preprocessing, against Pillow's and OpenCV's."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from edge_worker.m2fp.kernels import preprocess
from edge_worker.m2fp.parallel import one_by_one
from edge_worker.m2fp.preprocess import DEVIATION, MEAN, normalise_plainly, resize_plainly
from edge_worker.m2fp.types import Size

pytestmark = pytest.mark.skipif(not preprocess.is_built(), reason="the kernel was not built (no compiler)")

SIDE = st.integers(1, 400)


@settings(deadline=None, max_examples=100)
@given(SIDE, SIDE, SIDE, SIDE, st.sampled_from([1, 128, 255]))
@example(5000, 3, 1, 1, 1)  # shrunk as far as it goes
@example(1, 1, 300, 200, 255)
@example(1280, 720, 569, 320, 255)
@example(720, 1280, 320, 569, 1)
def test_kernel_resizes_as_pillow_does(width: int, height: int, out_width: int, out_height: int, step: int) -> None:
    """Larger and smaller, of noise and of hard edges: every byte is the same."""
    noise = np.random.default_rng(width).integers(0, 256, (height, width, 3), np.uint8)
    image = noise // step * np.uint8(step)
    size = Size(out_width, out_height)
    np.testing.assert_array_equal(preprocess.resize(image, size, one_by_one), resize_plainly(image, size))


def test_white_stays_white() -> None:
    """The weights of a pixel do not add up to more than it can hold, whatever the ratio."""
    for length in (2, 3, 7, 100, 999, 65_500):
        for out in (1, 2, 3, 97, 333):
            rows = preprocess.resize(np.full((1, length, 3), 255, np.uint8), Size(out, 1), one_by_one)
            assert (rows == 255).all(), (length, out)


@pytest.mark.parametrize(
    "image", [np.zeros((4, 4, 4), np.uint8), np.zeros((4, 4, 3), np.int8), np.zeros((4, 8, 3), np.uint8)[:, ::2]]
)
def test_wrong_images_are_refused(image: np.ndarray) -> None:
    """Another depth, number of channels or layout would be read out of bounds."""
    with pytest.raises(ValueError, match="image should be uint8"):
        preprocess.resize(image, Size(2, 2), one_by_one)
    with pytest.raises(ValueError, match="image should be uint8"):
        preprocess.normalise(image, MEAN, DEVIATION, Size(32, 32))


@settings(deadline=None, max_examples=50)
@given(SIDE, SIDE, st.integers(0, 40), st.integers(0, 40))
@example(1, 1, 0, 0)
def test_kernel_normalises_to_the_bit(width: int, height: int, right: int, below: int) -> None:
    """As a table of all values does; right of the image and below it are zeros."""
    image = np.random.default_rng(width).integers(0, 256, (height, width, 3), np.uint8)
    padded = Size(width + right, height + below)
    planes = preprocess.normalise(image, MEAN, DEVIATION, padded)
    np.testing.assert_array_equal(planes, normalise_plainly(image, padded))


def test_an_image_larger_than_its_input_is_refused() -> None:
    """It would be written beyond the planes."""
    with pytest.raises(ValueError, match="33×2 does not fit 32×32"):
        preprocess.normalise(np.zeros((2, 33, 3), np.uint8), MEAN, DEVIATION, Size(32, 32))
