"""What reasons stand for in HTTP."""

from __future__ import annotations

import pytest

from edge_worker.frames.frame import REJECTIONS

pytest.importorskip("fastapi", reason="the extra `web` is not installed")

from edge_worker.gateway.problems import STATUS_OF_REASON


def test_every_reason_of_a_worker_has_a_status() -> None:
    """A worker's error message is passed on, whatever its reason."""
    assert set(STATUS_OF_REASON) >= REJECTIONS
