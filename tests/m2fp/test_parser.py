"""The public face: load a model, parse frames."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import numpy as np
import pytest

from edge_worker.m2fp.parser import load_parser

if TYPE_CHECKING:
    from edge_worker.m2fp.parser import Parser


@pytest.fixture(scope="module")
def parser() -> Parser:
    """The model that comes with the package, at a small size."""
    return load_parser("builtin:seeded", precision="f32", threads=1, short_side=64)


@pytest.mark.parametrize(("width", "height"), [(1, 1), (64, 48), (48, 64), (2000, 2), (3, 700)])
def test_any_frame_gives_a_map_of_its_size(parser: Parser, width: int, height: int) -> None:
    """Whatever the size and the proportions."""
    frame = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
    parsing = parser.parse(frame)
    assert parsing.label_map.shape == (height, width)
    assert parsing.label_map.dtype == np.uint8
    assert parsing.label_map.max() < len(parser.classes)
    assert parsing.image_size == (width, height)
    for instance in (*parsing.parts, *parsing.persons):
        assert instance.mask.shape == (height, width)
        assert instance.mask.dtype == np.bool_
        assert 0 < instance.score <= 1
        rows, columns = instance.box.slices
        assert instance.mask.sum() == instance.mask[rows, columns].sum() > 0


def test_the_same_frame_gives_the_same_answer(parser: Parser) -> None:
    """Nothing of a frame is left behind for the next, and threads change nothing."""
    frame = np.random.default_rng(1).integers(0, 256, (80, 100, 3), np.uint8)
    first = parser.parse(frame)
    parser.parse(frame[::-1].copy())
    threads = load_parser("builtin:seeded", precision="f32", threads=2, short_side=64)
    for again in (parser.parse(frame), threads.parse(frame)):
        np.testing.assert_array_equal(first.label_map, again.label_map)
        assert [one.label for one in first.parts] == [one.label for one in again.parts]
    threads.close()


def test_short_side_of_one_frame(parser: Parser) -> None:
    """A frame may ask for another size of input than the parser's own."""
    frame = np.zeros((100, 200, 3), np.uint8)
    assert parser.preprocess(frame).tensor.shape == (1, 3, 64, 128)
    assert parser.preprocess(frame, short_side=96).tensor.shape == (1, 3, 96, 192)


def test_a_frame_compiles_its_shape(parser: Parser) -> None:
    """After one, frames of that size need no compilation."""
    net_input = parser.preprocess(np.zeros((64, 128, 3), np.uint8))
    assert not parser.is_compiled(net_input)
    parser.parse(np.zeros((64, 128, 3), np.uint8))
    assert parser.is_compiled(net_input)


def test_importing_the_package_is_light() -> None:
    """The worker process imports the package without any numeric library."""
    code = "import sys, edge_worker; assert not {'numpy', 'cv2', 'torch', 'openvino', 'pydantic'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
