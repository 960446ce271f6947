"""The kernels' versions for each instruction set of this processor, against what computes the same without them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from edge_worker.m2fp.kernels import deformable, masks, preprocess, runs
from edge_worker.m2fp.kernels.loader import most_level
from edge_worker.m2fp.kernels.workers import Workers
from edge_worker.m2fp.parallel import one_by_one
from edge_worker.m2fp.postprocess.partition import find_runs_plainly
from edge_worker.m2fp.postprocess.query_mask import read_plainly
from edge_worker.m2fp.postprocess.resample import enlargement
from edge_worker.m2fp.preprocess import Geometry, resize_plainly
from edge_worker.m2fp.types import Box, Size

if TYPE_CHECKING:
    from collections.abc import Iterator

BEST = 2

pytestmark = pytest.mark.skipif(not masks.is_built(), reason="the kernels were not built (no compiler)")


@pytest.fixture(params=[0, 1, BEST])
def level(request: pytest.FixtureRequest) -> Iterator[int]:
    """The instruction set that all kernels are held to: the compiler's, AVX2, AVX-512."""
    libraries = [one._library() for one in (deformable, masks, preprocess, runs)]
    if {library.hold_to(request.param) for library in libraries} != {request.param}:
        pytest.skip("this processor does not have it")
    yield request.param
    for library in libraries:
        library.hold_to(BEST)


@pytest.mark.usefixtures("level")
def test_resized_to_the_bit() -> None:
    """Every byte is Pillow's."""
    image = np.random.default_rng(0).integers(0, 256, (181, 323, 3), np.uint8)
    found = preprocess.resize(image, Size(145, 99), one_by_one)
    np.testing.assert_array_equal(found, resize_plainly(image, Size(145, 99)))


@pytest.mark.usefixtures("level")
def test_runs() -> None:
    """The same places and keys."""
    owners, labels = np.random.default_rng(1).integers(0, 2, (2, 50, 333), np.uint8)
    for found, expected in zip(runs.find_runs(owners, labels), find_runs_plainly(owners, labels), strict=True):
        np.testing.assert_array_equal(found, expected)


@pytest.mark.usefixtures("level")
def test_masks() -> None:
    """The same pixels, but for those at which rounding decides, and the same sum of sigmoids."""
    logits = np.random.default_rng(2).normal(size=(24, 40)).astype(np.float32)
    to_frame = enlargement(Size(40, 24), Geometry(Size(300, 180), Size(160, 96), Box(0, 0, 160, 96)))
    box = Box(0, 0, 300, 180)
    found, expected = (
        read(logits, to_frame, box, np.zeros((180, 300), np.bool_)) for read in (masks.read_mask, read_plainly)
    )
    assert np.count_nonzero(found[0].mask ^ expected[0].mask) <= 3
    assert found[1] == pytest.approx(expected[1], rel=1e-5)


def test_sampling(level: int) -> None:
    """Of deformable attention: what the version without vectors of its own gives."""
    random, sizes = np.random.default_rng(3), np.array([[6, 7], [3, 4]], np.int32)
    value = random.normal(size=(54, 64)).astype(np.float32)
    projected = random.normal(size=(54, 48)).astype(np.float32)
    answers = []
    for one in (0, level):
        deformable._library().hold_to(one)  # type: ignore[union-attr]
        answers.append(np.zeros_like(value))
        deformable.sample(value, projected, sizes, answers[-1], Workers(1))
    assert np.abs(answers[0]).max() > 0.1
    np.testing.assert_allclose(answers[1], answers[0], atol=1e-5)


@pytest.mark.parametrize(
    ("limit", "most"), [("SSE41", 0), ("AVX2", 1), ("avx2_vnni", 1), ("AVX512_CORE", BEST), ("", BEST)]
)
def test_kernels_keep_to_what_openvino_is_held_to(monkeypatch: pytest.MonkeyPatch, limit: str, most: int) -> None:
    """Else a measurement of AVX2 on a machine with AVX-512 would be one of neither."""
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", limit)
    assert most_level() == most
