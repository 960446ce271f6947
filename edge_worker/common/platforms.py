"""Features that platforms other than Linux may lack: CPU affinity, file locks, signals, C library functions."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from importlib import import_module
from typing import Any

IS_LINUX = sys.platform == "linux"
RUNS_WORKER = sys.platform != "win32"
"""Whether a socket can be passed to a model process."""

O_NONBLOCK: int = getattr(os, "O_NONBLOCK", 0)
# O_NOFOLLOW: in a shared temporary directory a symbolic link may be an attack. On Windows directories cannot be opened:
# that raises OSError whatever the flags.
OPEN_DIRECTORY: int = os.O_RDONLY | getattr(os, "O_DIRECTORY", 0) | getattr(os, "O_NOFOLLOW", 0)


def available_cpus() -> tuple[int, ...]:
    """Return the numbers of the CPUs that this process may use, ascending; all if there are no affinity masks."""
    if hasattr(os, "sched_getaffinity"):
        return tuple(sorted(os.sched_getaffinity(0)))
    return tuple(range(os.cpu_count() or 1))


def lock(descriptor: int) -> None:
    """Lock an open file exclusively, without waiting; the lock lasts until the descriptor is closed.

    Raises:
        OSError: it is already locked, or its file system does not support locks.
    """
    try:
        fcntl: Any = import_module("fcntl")
    except ImportError:
        msvcrt: Any = import_module("msvcrt")
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
    else:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


def signals(*names: str) -> tuple[signal.Signals, ...]:
    """Return the signals called *names* that this platform has; Windows has neither SIGHUP nor SIGUSR1."""
    return tuple(getattr(signal, name) for name in names if hasattr(signal, name))


def c_function(name: str) -> Any | None:  # noqa: ANN401 - ctypes creates a function for any name
    """Return a function of the C library (errno: ``ctypes.get_errno``); None if it is missing."""
    return None if _C_LIBRARY is None else getattr(_C_LIBRARY, name, None)


def _c_library() -> ctypes.CDLL | None:
    try:
        return ctypes.CDLL(None, use_errno=True)
    except TypeError:  # on Windows, a library must be named
        return None


_C_LIBRARY = _c_library()
