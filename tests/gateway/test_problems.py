"""What reasons stand for in HTTP."""

from __future__ import annotations

import pytest

from edge_worker.frames.frame import REJECTIONS

pytest.importorskip("fastapi", reason="the extra `web` is not installed")

from edge_worker.gateway.problems import STATUS_OF_REASON, Problem


def test_every_reason_of_a_worker_has_a_status() -> None:
    """A worker's error message is passed on, whatever its reason."""
    assert set(STATUS_OF_REASON) >= REJECTIONS


@pytest.mark.parametrize(
    ("reason", "title"),
    [("too_big", "Content Too Large"), ("invalid", "Unprocessable Content"), ("no_worker", "Service Unavailable")],
)
def test_a_title_is_the_name_that_http_has_for_the_status(reason: str, title: str) -> None:
    """Whatever the version of Python calls it."""
    assert Problem(reason, "").values()["title"] == title
