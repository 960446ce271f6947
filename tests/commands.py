"""The command line, run as a user runs it: in a process of its own."""

from __future__ import annotations

import atexit
import os
import re
import shutil
import subprocess
import sys
import tempfile
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pathlib import Path

LIMIT_S: Final = 60.0
HOME: Final = tempfile.mkdtemp(prefix="edge-worker-tests-")
"""Compiled networks go here, not to the home of whoever runs the tests."""

atexit.register(shutil.rmtree, HOME, ignore_errors=True)


def start(*arguments: str | Path, **environment: str) -> subprocess.Popen[str]:
    """Start ``edge-worker`` with *arguments*; settings of whoever runs the tests do not reach it."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("EDGE_WORKER")}
    return subprocess.Popen(
        [sys.executable, "-m", "edge_worker", *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**inherited, "XDG_CACHE_HOME": HOME, "XDG_STATE_HOME": HOME, **environment},
        text=True,
    )


def run(*arguments: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run ``edge-worker`` to its end."""
    with start(*arguments, **environment) as process:
        try:
            out, err = process.communicate(timeout=LIMIT_S)
        finally:
            process.kill()
    return subprocess.CompletedProcess(process.args, process.returncode, out, err)


def notes(errors: str) -> list[str]:
    """List the lines of *errors*, without those that say how far a command is: a fast machine prints none of them."""
    return [line for line in errors.splitlines() if not re.fullmatch(r"\w+: \d+ of \d+", line)]
