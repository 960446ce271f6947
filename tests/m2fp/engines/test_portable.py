"""The engines on the processor at hand, whichever that is: `make portability` runs this on emulated ones."""

from __future__ import annotations

import numpy as np
import pytest

from edge_worker.m2fp.parser import load_parser


@pytest.mark.openvino
@pytest.mark.parametrize("engine", ["openvino", "onnxruntime"])
def test_a_frame_is_parsed(engine: str) -> None:
    """Without an instruction that the processor lacks, in this very process."""
    pytest.importorskip(engine)
    parser = load_parser("builtin:seeded", engine, "f32", threads=1, short_side=64)
    frame = np.random.default_rng(0).integers(0, 256, (90, 160, 3), np.uint8)
    assert parser.parse(frame).label_map.shape == (90, 160)
    parser.close()
