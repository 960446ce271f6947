"""When a model process is replaced by plan."""

from __future__ import annotations

from edge_worker.pool.timeouts import FAILURES_ALLOWED, RecyclePolicy


def test_a_process_that_grew_past_the_limit_is_replaced() -> None:
    """And the reason names the key that says so."""
    recycling = RecyclePolicy(limit_mb=100, loaded_mb=50)
    assert recycling.reason_to_replace(100) == ""
    assert recycling.reason_to_replace(101) == "101 MB of memory, over memory.limit_mb: 100"


def test_a_limit_below_the_model_itself_is_not_in_force() -> None:
    """Each frame would end its process."""
    recycling = RecyclePolicy(limit_mb=100, loaded_mb=101)
    assert not recycling.is_limited
    assert recycling.reason_to_replace(10_000) == ""


def test_only_failures_in_a_row_speak_against_the_model() -> None:
    """A frame that works shows that the model is well."""
    recycling = RecyclePolicy(limit_mb=100, loaded_mb=50)
    for _ in range(FAILURES_ALLOWED - 1):
        recycling.failed()
    recycling.worked()
    recycling.failed()
    assert recycling.reason_to_replace(50) == ""
    for _ in range(FAILURES_ALLOWED - 1):
        recycling.failed()
    assert recycling.reason_to_replace(50) == f"the model failed under {FAILURES_ALLOWED} frames in a row"
