"""The end of processes: what a return code means, and ending with the parent."""

from __future__ import annotations

import os
import signal
import sys


def how_it_ended(returncode: int | None) -> str:
    """Describe a return code (negative: the signal that ended the process)."""
    if returncode is None:
        return "did not end when killed"
    if returncode >= 0:
        return f"ended with status {returncode}"
    name = signal.Signals(-returncode).name if -returncode in set(signal.Signals) else f"signal {-returncode}"
    hint = " (out of memory, or killed from outside)" if -returncode == signal.SIGKILL else ""
    return f"ended by {name}{hint}"


def end_with_the_input() -> None:
    """End this process when its standard input closes, because its parent ended; run it in a thread of its own."""
    os.read(sys.stdin.fileno(), 1)  # not sys.stdin.read(): it would hold the lock of stdin and block a normal exit
    os._exit(1)
