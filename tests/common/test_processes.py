"""How processes end."""

from __future__ import annotations

import pytest

from edge_worker.common.processes import how_it_ended


@pytest.mark.parametrize(
    ("returncode", "words"),
    [
        (None, "did not end when killed"),
        (0, "ended with status 0"),
        (3, "ended with status 3"),
        (-11, "ended by SIGSEGV"),
        (-9, "ended by SIGKILL (out of memory, or killed from outside)"),
        (-40, "ended by signal 40"),
    ],
)
def test_how_a_process_ended_in_words(returncode: int | None, words: str) -> None:
    """Signals have their names."""
    assert how_it_ended(returncode) == words
