"""What Linux says of processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

from edge_worker.pool import proc

if TYPE_CHECKING:
    import pytest

GONE = 2**22 + 1  # above the largest process number there can be


def test_memory_of_a_process() -> None:
    """Some tens of megabytes for this one, nothing for one that is not there."""
    assert 5 < proc.rss_mb(os.getpid()) < 5000
    assert proc.rss_mb(GONE) == 0


def test_a_stopped_process_is_seen() -> None:
    """While it is stopped, and only then."""
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"]) as process:
        assert not proc.is_stopped(process.pid)
        process.send_signal(signal.SIGSTOP)
        end = time.monotonic() + 5
        while not proc.is_stopped(process.pid):
            assert time.monotonic() < end
        process.kill()
    assert not proc.is_stopped(process.pid)
    assert not proc.is_stopped(GONE)


def test_looking_again_makes_no_new_path(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each path would intern its parts, and the table of such strings keeps the places of those that are gone."""
    first = proc.rss_mb(os.getpid()), proc.is_stopped(os.getpid())
    monkeypatch.setattr(proc, "Path", None)
    again = proc.rss_mb(os.getpid()), proc.is_stopped(os.getpid())
    assert first[0] > 0
    assert again[0] > 0
    assert first[1] is again[1] is False
