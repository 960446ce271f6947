"""Who goes on, of several workers with one node id."""

from __future__ import annotations

import pytest

from edge_worker.messages import StatusMessage
from edge_worker.service.duplicate_nodes import FORGET_S, DuplicateNodes


def said(session: str, state: str = "online") -> bytes:
    """The status of the worker whose run is *session*."""
    content = {"node": "box", "version": "1", "session": session, "state": state, "pid": 7}
    return StatusMessage.model_validate(content | {"since": "2026-01-01T00:00:00.000Z"}).to_json()


def test_exactly_one_goes_on() -> None:
    """Each concludes the same from what it hears of the others; all tell whom they have found, and which key it is."""
    sessions = ["b", "a", "c"]
    workers = {session: DuplicateNodes("box", session) for session in sessions}
    for own, worker in workers.items():
        for other in sessions:
            assert worker.heard(said(other), 0.0) == (other != own)
    assert [session for session, worker in workers.items() if not worker.is_standby(0.0)] == ["a"]
    for own, worker in workers.items():
        assert "node.id" in worker.explanation(0.0)
        assert all((f"session {other}" in worker.explanation(0.0)) == (other != own) for other in sessions)


def test_nobody_is_on_standby_for_one_that_does_not_answer_frames() -> None:
    """It said so, or its will did; or it is not heard of any more. Nor for one that cannot answer frames now."""
    worker = DuplicateNodes("box", "b")
    worker.heard(said("a"), 0.0)
    assert worker.is_standby(FORGET_S - 1)
    assert not worker.is_standby(FORGET_S)
    worker.heard(said("a"), FORGET_S)
    assert worker.heard(said("a", "degraded"), FORGET_S)
    assert not worker.is_standby(FORGET_S)
    assert worker.explanation(FORGET_S)
    worker.heard(said("a"), FORGET_S)
    assert not worker.heard(said("a", "offline"), FORGET_S + 1)
    assert (worker.is_standby(FORGET_S + 1), worker.explanation(FORGET_S + 1)) == (False, "")


@pytest.mark.parametrize(
    "payload", [b"", b"{}", b"[" * 60_000, b"\xff", b'{"session": "a", "state": "online"}', said("a" * 65_536)]
)
def test_what_is_no_status_is_nobody(payload: bytes) -> None:
    """Whatever somebody puts on our topic."""
    worker = DuplicateNodes("box", "b")
    assert not worker.heard(payload, 0.0)
    assert not worker.is_standby(0.0)


def test_many_sessions_are_not_remembered_for_ever() -> None:
    """Whoever makes them up fills no memory."""
    worker = DuplicateNodes("box", "b")
    for number in range(10_000):
        worker.heard(said(f"c{number}" + "c" * 1000), 0.0)
    assert len(worker.explanation(0.0)) < 1000
