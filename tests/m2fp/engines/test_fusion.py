"""The graph that OpenVINO runs, rewritten for speed, computes what the network does."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest
from agreement import assert_same_map

from edge_worker.m2fp.engines import gemm_fusion, openvino
from edge_worker.m2fp.engines.precisions import SPLIT
from edge_worker.m2fp.kernels import deformable, gemm, winograd
from edge_worker.m2fp.parser import Parser, load_parser
from edge_worker.m2fp.seeded import tiny_configuration, write_seeded_checkpoint
from edge_worker.tools.scene import scene_at

if TYPE_CHECKING:
    from pathlib import Path

SHORT_SIDE = 128
CLASS_TOLERANCE = 5e-3
# Largest class logits of about 90, and masks whose pixels are sure.
GAINS = {"class_gain": 60.0, "mask_gain": 8.0}


@pytest.fixture(params=["sampling", "products", "winograd", "operators"])
def precision(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """With one of the compiled kernels in the graph, or with OpenVINO's own operators: what to ask the engine for."""
    usable = {"sampling": deformable.is_built(), "products": gemm.is_usable(), "winograd": winograd.is_usable()}
    if not usable.get(request.param, True):
        pytest.skip("the kernel was not built (no compiler), or the processor cannot run it")
    monkeypatch.setattr(openvino, "is_built", lambda: request.param == "sampling")
    monkeypatch.setattr(winograd, "is_usable", lambda: request.param == "winograd")
    monkeypatch.setattr(winograd, "_FEWEST_TILES", 0)
    monkeypatch.setattr(gemm_fusion, "LEAST", 0)
    return SPLIT if request.param == "products" else "f32"


@pytest.fixture(scope="module")
def street() -> np.ndarray:
    """The demo's scene with three people in view, RGB uint8 180×320×3."""
    return np.asarray(cv2.resize(scene_at(3.2), (320, 180)), np.uint8)


@pytest.mark.parametrize("seed", [1, 2])
def test_the_rewritten_graph_is_exact(seed: int, precision: str, street: np.ndarray, tmp_path: Path) -> None:
    """Class logits agree with the network's to 5e-3, and label maps in 99.95 % of the pixels."""
    checkpoint = write_seeded_checkpoint(tmp_path / "model", tiny_configuration(), seed, **GAINS)
    plain = load_parser(checkpoint, "torch", "f32", 1, short_side=SHORT_SIDE)
    rewritten = load_parser(checkpoint, "openvino", precision, 1, short_side=SHORT_SIDE, cache_directory=tmp_path)
    expected, found = _answer(plain, street), _answer(rewritten, street)
    np.testing.assert_allclose(found[0], expected[0], atol=CLASS_TOLERANCE, rtol=0)
    assert len(np.unique(expected[1])) > 1
    assert_same_map(found[1], expected[1])


def _answer(parser: Parser, frame: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Class logits and label map."""
    net_input = parser.preprocess(frame)
    logits = parser.infer(net_input)
    parsing = parser.postprocess(logits, net_input)
    parser.close()
    return logits.class_logits, parsing.label_map
