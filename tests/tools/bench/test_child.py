"""The process of a variant: what it tells of its memory."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from edge_worker.tools.bench.child import forget_peak, peak_mb


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's peak is read from /proc")
def test_what_was_not_to_be_counted_is_forgotten() -> None:
    """Memory that comparing answers took does not stay in the peak of the frames after it."""
    forget_peak()
    before = peak_mb()
    np.ones(100_000_000, np.uint8)
    assert peak_mb() > before + 90
    forget_peak()
    assert peak_mb() < before + 20
