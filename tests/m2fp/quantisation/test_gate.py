"""What a reduced precision must hold."""

from __future__ import annotations

import numpy as np
import pytest

from edge_worker.m2fp.directory import open_directory
from edge_worker.m2fp.quantisation.agreement import Agreement
from edge_worker.m2fp.quantisation.gate import Verdict, judge


@pytest.mark.parametrize(
    ("precision", "pixels", "instance_iou", "passed"),
    [
        ("bf16", 0.991, 0.981, True),
        ("bf16", 0.989, 0.999, False),
        ("f16", 0.999, 0.979, False),
        ("bf16x3", 0.9996, 0.991, True),
        ("bf16x3", 0.9994, 0.999, False),
        ("int8+bf16", 0.981, 0.951, True),
        ("int8+f32", 0.979, 0.999, False),
        ("int8+bf16", 0.999, 0.949, False),
    ],
)
def test_bars(precision: str, pixels: float, instance_iou: float, *, passed: bool) -> None:
    """99 % of pixels and 0.98 of instances in reduced floating point; 99.95 % in bf16x3; 98 % and 0.95 in int8."""
    verdict = Verdict(precision, Agreement(100, pixels, pixels, 50, instance_iou, candidate_iou=0.0))
    assert verdict.passed is passed
    assert f"{precision} {'passed' if passed else 'missed'}" in str(verdict)


def test_empty_frames_say_nothing() -> None:
    """Where f32 finds nothing, any network agrees: a precision is not chosen for that."""
    verdict = Verdict("bf16", Agreement(100, 1.0, 1.0, 0, 1.0, 1.0))
    assert verdict.agrees
    assert not verdict.passed
    assert "not judged, nothing is on the frames" in str(verdict)


def test_f32_agrees_with_itself() -> None:
    """Every image is parsed in both precisions, whatever its size."""
    random = np.random.default_rng(0)
    images = [random.integers(0, 256, (height, 64, 3), np.uint8) for height in (48, 64, 64)]
    (verdict,) = judge(open_directory("builtin:seeded"), ["f32"], images, threads=1)
    assert (verdict.agreement.frames, verdict.agreement.pixels, verdict.agreement.candidate_iou) == (3, 1.0, 1.0)
    assert verdict.agrees
