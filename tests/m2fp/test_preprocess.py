"""A frame becomes what the published pipeline would have made of it, whatever its size."""

from __future__ import annotations

import numpy as np
import pytest
from checkpoints import Golden, variant
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image

from edge_worker.m2fp.configuration import InputConfig, ModelConfig, parse_configuration
from edge_worker.m2fp.preprocess import multi_human_size, normalise, preprocess, reduction
from edge_worker.m2fp.seeded import tiny_configuration
from edge_worker.m2fp.types import Box, Size

# Pixels of the largest network input of the published multi-human model, padding included.
LARGEST_INPUT = 1344 * 1344


def configuration(name: str | None = None) -> ModelConfig:
    return parse_configuration(variant(name) if name else tiny_configuration(), "test")


def test_golden_input(golden: Golden) -> None:
    """From the frame comes the published network input, to the last bit."""
    net_input = preprocess(golden.frame, golden.config)
    np.testing.assert_array_equal(net_input.image.transpose(2, 0, 1), golden.expected["net_input"])


@pytest.mark.parametrize(
    ("frame", "expected"),
    [
        ((1280, 720), (1138, 640)),
        ((720, 1280), (640, 1138)),
        ((640, 480), (853, 640)),
        ((1920, 800), (1333, 555)),  # the longer side limits
        ((240, 200), (768, 640)),  # small frames are enlarged
        ((8000, 2), (1333, 1)),  # never to nothing
        ((1, 1), (640, 640)),
    ],
)
def test_multi_human_sizes(frame: tuple[int, int], expected: tuple[int, int]) -> None:
    """Shorter side 640 unless the longer would pass 1333, rounded."""
    assert multi_human_size(Size(*frame), InputConfig()) == expected


def test_short_side_can_be_chosen() -> None:
    """A smaller input keeps the proportions and the limit of the longer side."""
    assert multi_human_size(Size(1280, 720), InputConfig(), 320) == (569, 320)
    assert multi_human_size(Size(4000, 720), InputConfig(), 320) == (667, 120)


@pytest.mark.parametrize(
    ("frame", "expected"),
    [
        ((1280, 720), 2),
        ((1137, 720), 2),
        ((640, 480), 1),
        ((1279, 639), 1),  # half of it would be enlarged
        ((3840, 2160), 4),
        ((7680, 4320), 8),
        ((20, 10), 1),
    ],
)
def test_reductions(frame: tuple[int, int], expected: int) -> None:
    """A frame is reduced while it is decoded as far as the input of a model that allows it is no larger."""
    data = tiny_configuration()
    data["model"]["input"] = {"short_side": 320, "max_side": 640, "reduced_decoding": True}
    assert reduction(Size(*frame), parse_configuration(data, "test")) == expected
    data["model"]["input"]["reduced_decoding"] = False
    assert reduction(Size(*frame), parse_configuration(data, "test")) == 1


def test_a_reduced_frame_keeps_its_place() -> None:
    """Input and geometry are those of the frame in full."""
    config = configuration()
    whole = preprocess(np.zeros((721, 1281, 3), np.uint8), config)
    reduced = preprocess(np.zeros((361, 641, 3), np.uint8), config, frame=Size(1281, 721))
    assert reduced.geometry == whole.geometry
    assert reduced.tensor.shape == whole.tensor.shape


@pytest.mark.parametrize(
    ("frame", "window"),
    [
        ((100, 60), Box(50, 35, 100, 60)),  # smaller than the canvas 200×130: centred, not enlarged
        ((101, 61), Box(49, 34, 101, 61)),
        ((200, 130), Box(0, 0, 200, 130)),
        ((400, 100), Box(0, 40, 200, 50)),  # too wide
        ((100, 260), Box(75, 0, 50, 130)),  # too high
        ((1280, 720), Box(0, 9, 200, 112)),  # both: 112.5 is truncated
        ((5000, 3), Box(0, 64, 200, 1)),  # never to nothing
    ],
)
def test_single_human_canvas(frame: tuple[int, int], window: Box) -> None:
    """The frame is shrunk to fit, never enlarged, and centred on grey; the canvas is padded to multiples of 32."""
    image = np.zeros((frame[1], frame[0], 3), np.uint8)
    net_input = preprocess(image, configuration("single-odd-canvas"))
    assert net_input.geometry.window == window
    assert net_input.geometry.padded == (224, 160)
    canvas = np.full((130, 200), 128)
    canvas[window.slices] = 0
    np.testing.assert_array_equal(net_input.image[..., 1], canvas)


@pytest.mark.parametrize(
    ("canvas", "frame", "window"),
    [
        ((384, 512), (640, 853), (0, 0, 384, 512)),  # upright: its height comes first, 853 · 384 / 640 = 511.8
        ((384, 512), (385, 512), (0, 1, 384, 510)),
        ((384, 512), (768, 1025), (0, 0, 383, 512)),
        ((384, 512), (401, 777), (60, 0, 264, 512)),
        ((384, 512), (1280, 720), (0, 148, 384, 216)),
        ((301, 203), (390, 263), (0, 0, 301, 202)),  # lying: its width comes first
        ((301, 203), (601, 407), (0, 0, 301, 203)),
        ((200, 130), (258, 168), (0, 0, 200, 130)),
    ],
)
def test_published_windows(canvas: tuple[int, int], frame: tuple[int, int], window: tuple[int, int, int, int]) -> None:
    """Where the published pipeline was seen to put frames on canvases, to the pixel."""
    data = variant("single-odd-canvas")
    data["model"]["input_single_human"]["sizes"] = [list(canvas)]
    image = np.zeros((frame[1], frame[0], 3), np.uint8)
    assert preprocess(image, parse_configuration(data, "test")).geometry.window == window


def test_rows_are_resized_first() -> None:
    """The published order of the two passes, each rounded, whatever order the installed Pillow prefers."""
    image = np.random.default_rng(0).integers(0, 256, (900, 150, 3), np.uint8)
    rows = Image.fromarray(image).resize((21, 900), Image.Resampling.BILINEAR)
    expected = np.asarray(rows.resize((21, 130), Image.Resampling.BILINEAR))
    net_input = preprocess(image, configuration("single-odd-canvas"))
    np.testing.assert_array_equal(net_input.image[net_input.geometry.window.slices], expected)


def test_normalisation() -> None:
    """Mean and deviation of ImageNet per channel, planes instead of pixels, zeros in the padding."""
    image = np.array([[[0, 128, 255], [124, 116, 104]]], np.uint8)
    tensor = normalise(image, Size(32, 32))
    assert tensor.shape == (1, 3, 32, 32)
    np.testing.assert_allclose(tensor[0, :, 0, 0], [-123.675 / 58.395, 11.72 / 57.12, 151.47 / 57.375], rtol=1e-5)
    assert not tensor[0, :, 1:].any()
    assert not tensor[0, :, :, 2:].any()


@settings(deadline=None, max_examples=30)
@given(st.integers(1, 9000), st.integers(1, 9000), st.sampled_from([None, "single-odd-canvas"]))
@example(1, 1, None)
@example(8000, 2, None)
@example(2, 8000, "single-odd-canvas")
def test_any_size_is_prepared(width: int, height: int, name: str | None) -> None:
    """No aspect ratio makes the input empty or huge; the window lies in the padded input."""
    image = np.broadcast_to(np.uint8(7), (height, width, 3))
    if width * height > 4_000_000:
        return  # the rule is the same, and memory is dear
    geometry = preprocess(np.ascontiguousarray(image), configuration(name)).geometry
    assert geometry.padded.width % 32 == geometry.padded.height % 32 == 0
    assert geometry.padded.width * geometry.padded.height <= LARGEST_INPUT
    assert 1 <= geometry.window.width <= geometry.padded.width - geometry.window.x
    assert 1 <= geometry.window.height <= geometry.padded.height - geometry.window.y
