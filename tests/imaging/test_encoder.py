from __future__ import annotations

import io
from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from images import CIHP, figures, photo
from PIL import Image

from edge_worker.common.image_formats import DecodeLimits
from edge_worker.imaging.decoder import decode
from edge_worker.imaging.encoder import encode_jpeg, encode_jpeg_within, encode_png_palette, encode_rgb_png
from edge_worker.imaging.headers import FORMATS
from edge_worker.imaging.palette import Palette

if TYPE_CHECKING:
    from edge_worker.imaging.arrays import LabelMap, RgbImage

LIMITS = DecodeLimits(max_payload_bytes=10_000_000, max_pixels=1_000_000, formats=FORMATS)
PALETTE = Palette.for_classes(CIHP)


@given(arrays(np.uint8, array_shapes(min_dims=2, max_dims=2, max_side=40), elements=st.integers(0, len(CIHP) - 1)))
def test_any_label_map_is_its_palette_png(label_map: LabelMap) -> None:
    """The pixels of the PNG are the class indices, its palette the colours."""
    with Image.open(io.BytesIO(encode_png_palette(label_map, PALETTE))) as image:
        assert image.mode == "P"
        assert (np.asarray(image) == label_map).all()
        assert image.getpalette() == PALETTE.rgb.ravel().tolist()


def test_opencv_reads_the_palette_png_as_a_coloured_image() -> None:
    """A reader that knows no palettes sees the colours; so do we."""
    label_map = figures(320, 180)
    payload = encode_png_palette(label_map, PALETTE)
    seen = np.asarray(cv2.imdecode(np.frombuffer(payload, np.uint8), cv2.IMREAD_COLOR))[..., ::-1]
    assert (seen == PALETTE.rgb[label_map]).all()
    assert np.array_equal(decode(payload, LIMITS), PALETTE.rgb[label_map])


@pytest.mark.parametrize("module", ["zlib", "zlib_ng.zlib_ng"])
def test_label_maps_are_small_with_either_compressor(module: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """With and without the extra "fast": the same pixels, in a twentieth of their bytes."""
    monkeypatch.setattr("edge_worker.imaging.encoder.compressobj", pytest.importorskip(module).compressobj)
    label_map = figures(640, 360)
    payload = encode_png_palette(label_map, PALETTE)
    assert len(payload) < label_map.size / 20
    with Image.open(io.BytesIO(payload)) as image:
        assert (np.asarray(image) == label_map).all()


def test_a_class_without_a_colour_is_refused() -> None:
    """A palette PNG with an index outside its palette would be invalid."""
    with pytest.raises(ValueError, match="class index 21 in a label map of 21 classes"):
        encode_png_palette(np.full((2, 2), 21, np.uint8), PALETTE)


@given(arrays(np.uint8, st.tuples(st.integers(1, 20), st.integers(1, 20), st.just(3))))
def test_any_image_is_its_rgb_png(image: RgbImage) -> None:
    """RGB PNGs are lossless."""
    payload = encode_rgb_png(image)
    with Image.open(io.BytesIO(payload)) as read:
        assert np.array_equal(np.asarray(read), image)
    assert np.array_equal(decode(payload, LIMITS), image)


def test_maps_are_small() -> None:
    """A 1280x720 map takes some kilobytes: what a broker has to carry for every frame."""
    assert len(encode_png_palette(figures(), PALETTE)) < 12_000


def test_jpegs_of_higher_quality_are_closer_and_larger() -> None:
    """Quality means what it says, and red stays red."""
    errors, sizes = [], []
    for quality in (10, 50, 95):
        payload = encode_jpeg(photo(), quality)
        errors.append(np.abs(decode(payload, LIMITS).astype(int) - photo()).mean())
        sizes.append(len(payload))
    assert errors == sorted(errors, reverse=True)
    assert sizes == sorted(sizes)
    assert errors[-1] < 3


@pytest.mark.parametrize("share", [1.0, 0.5, 0.2])
def test_an_image_is_made_small_enough(share: float) -> None:
    """It keeps its shape and its quality; one that fits is not touched."""
    image = np.asarray(cv2.resize(photo(), (480, 320)), np.uint8)
    whole = encode_jpeg(image, 85)
    limit = int(share * len(whole))
    fitting = encode_jpeg_within(image, 85, limit)
    assert fitting is not None
    assert len(fitting) <= limit
    height, width = decode(fitting, LIMITS).shape[:2]
    assert 2 * width == 3 * height
    assert (fitting == whole) == (share == 1.0)


def test_an_image_that_cannot_be_small_enough_is_left_out() -> None:
    """Rather than shown as a few blocks."""
    assert encode_jpeg_within(photo(), 85, 100) is None
    assert encode_jpeg_within(photo(), 85, None) == encode_jpeg(photo(), 85)
