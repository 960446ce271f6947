"""Makes a Python on Linux lack what other platforms lack, as soon as ``edge_worker`` is imported.

Python runs this module at its start where its folder is in PYTHONPATH; PYTHON_TEST_PLATFORM names the platform.
What is outside this project is imported first: it was made for the platform that is really there.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import fcntl
import multiprocessing
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from functools import partial
from importlib import import_module
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

BEFORE = (asyncio, contextlib, multiprocessing, subprocess, tempfile)
LIBRARIES = ("cv2", "numpy", "openvino", "PIL.Image", "paho.mqtt.client", "pydantic", "rich.progress", "structlog")

MACOS = {
    os: ("sched_getaffinity", "sched_setaffinity"),
    socket: ("SOCK_CLOEXEC",),
}
WINDOWS = {
    os: (
        *MACOS[os],
        *("nice", "getpriority", "setpriority", "PRIO_PROCESS", "sysconf", "statvfs", "getloadavg", "fork", "setsid"),
        *("getuid", "geteuid", "getgid", "pread", "pwrite", "mkfifo", "killpg", "fchmod", "uname"),
        *("O_DIRECTORY", "O_NOFOLLOW", "O_NONBLOCK", "O_CLOEXEC"),
    ),
    signal: (
        "SIGHUP",
        "SIGUSR1",
        "SIGUSR2",
        "SIGSTOP",
        "SIGCONT",
        "SIGALRM",
        "SIGCHLD",
        "SIGPIPE",
        "SIGQUIT",
    ),
    socket: (*MACOS[socket], "AF_UNIX"),
}
NAMES = {"windows": "win32", "macos": "darwin"}
WINDOWS_MODULES = ("fcntl", "grp", "pwd", "resource", "termios", "tty", "readline", "syslog")


class NoLibrary(ctypes.CDLL):
    """On Windows no library stands for the whole process."""

    def __init__(self, name: Any, *arguments: Any, **options: Any) -> None:  # noqa: ANN401 - as ctypes has it
        if name is None:
            raise TypeError("LoadLibrary() argument 1 must be str, not None")
        super().__init__(name, *arguments, **options)


def locks_by(posix: Any) -> ModuleType:  # noqa: ANN401 - a module
    """What Windows has for locks, made of what Linux has."""
    msvcrt: Any = ModuleType("msvcrt")
    msvcrt.LK_NBLCK = posix.LOCK_EX | posix.LOCK_NB
    msvcrt.locking = lambda descriptor, mode, _size: posix.flock(descriptor, mode)
    return cast("ModuleType", msvcrt)


class OnImport:
    """Takes away what the *platform* lacks, before ``edge_worker`` is looked for."""

    def __init__(self, platform: str) -> None:
        self._platform = platform
        self._done = False

    def find_spec(self, name: str, path: Sequence[str] | None = None, *_: object) -> ModuleSpec | None:
        if name == "edge_worker" and not self._done:
            self._done = True
            for library in LIBRARIES:
                with contextlib.suppress(ImportError):
                    import_module(library)
            take_away(self._platform)
        if name != "edge_worker.common.platforms":
            return None
        spec = PathFinder.find_spec(name, path)
        assert spec
        assert spec.loader
        spec.loader.exec_module = partial(self._execute, spec.loader.exec_module)  # type: ignore[method-assign]
        return spec

    def _execute(self, execute: Callable[[ModuleType], None], module: ModuleType) -> None:
        """Run the one module that asks for the platform: the standard library would look for the other's files."""
        sys.platform = NAMES[self._platform]
        try:
            execute(module)
        finally:
            sys.platform = "linux"


def take_away(platform: str) -> None:
    socket.socketpair = partial(socket.socketpair, socket.AF_UNIX)  # Windows makes its pairs without
    for holder, names in (WINDOWS if platform == "windows" else MACOS).items():
        for name in names:
            if hasattr(holder, name):
                delattr(holder, name)
    if platform == "windows":
        sys.modules["msvcrt"] = locks_by(fcntl)
        for module in WINDOWS_MODULES:
            sys.modules[module] = None  # type: ignore[assignment] # what importlib takes for a module that is not there
        ctypes.CDLL = NoLibrary  # type: ignore[misc]
        shutil._use_fd_functions = False  # type: ignore[attr-defined] # decided at its import, before the names went


if wanted := os.environ.get("PYTHON_TEST_PLATFORM"):
    sys.meta_path.insert(0, OnImport(wanted))
