"""Process information from Linux: memory, stopped state."""

from __future__ import annotations

import os
from contextlib import suppress
from functools import lru_cache
from pathlib import Path

_MB = 1_000_000


def rss_mb(pid: int) -> float:
    """Return the resident memory in MB; 0 if the process has ended."""
    with suppress(OSError):
        pages = int(_file(pid, "statm").read_bytes().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / _MB
    return 0.0


def is_stopped(pid: int) -> bool:
    """Whether a signal has stopped the process; false if a debugger holds it."""
    with suppress(OSError):
        # pid (command) state …: the command may contain spaces and parentheses.
        return _file(pid, "stat").read_bytes().rpartition(b")")[2].split()[0] == b"T"
    return False


@lru_cache(maxsize=16)
def _file(pid: int, name: str) -> Path:
    """Return the path of a process's file in ``/proc``, cached: building a path interns its parts.

    Without the cache, a path built every second fills the interpreter's table of interned strings until it doubles:
    0.9 MB after half an hour.
    """
    return Path(f"/proc/{pid}/{name}")
