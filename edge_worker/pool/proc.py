"""What Linux says of a process: its memory, whether it is stopped, how it ended."""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from pathlib import Path

_MB = 1_000_000


def rss_mb(pid: int) -> float:
    """Resident memory, MB; 0 when the process has ended."""
    with suppress(OSError):
        pages = int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / _MB
    return 0.0


def is_stopped(pid: int) -> bool:
    """Whether a signal has stopped the process; not while a debugger holds it, who wants it to live."""
    with suppress(OSError):
        # pid (command) state …: the command may hold spaces and parentheses.
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
        return stat.rpartition(")")[2].split()[0] == "T"
    return False


def how_it_ended(returncode: int | None) -> str:
    """Say in words what a return code means (negative: the signal that ended the process)."""
    if returncode is None:
        return "did not end when killed"
    if returncode >= 0:
        return f"ended with status {returncode}"
    name = signal.Signals(-returncode).name if -returncode in set(signal.Signals) else f"signal {-returncode}"
    hint = " (out of memory, or killed from outside)" if -returncode == signal.SIGKILL else ""
    return f"ended by {name}{hint}"
