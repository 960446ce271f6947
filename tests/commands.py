"""Runs the command line in a subprocess, as a user does."""

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
"""Directory for compiled networks, instead of the user's home."""

atexit.register(shutil.rmtree, HOME, ignore_errors=True)


def start(*arguments: str | Path, **environment: str) -> subprocess.Popen[str]:
    """Start ``edge-worker`` with *arguments*, without the user's own settings."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("EDGE_WORKER")}
    return subprocess.Popen(
        [sys.executable, "-m", "edge_worker", *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**inherited, "XDG_CACHE_HOME": HOME, "XDG_STATE_HOME": HOME, **environment},
        text=True,
    )


def run(*arguments: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run ``edge-worker`` until it exits."""
    with start(*arguments, **environment) as process:
        try:
            out, err = process.communicate(timeout=LIMIT_S)
        finally:
            process.kill()
    return subprocess.CompletedProcess(process.args, process.returncode, out, err)


def notes(errors: str) -> list[str]:
    """Return the lines of *errors* without progress messages, which a fast machine does not print."""
    return [line for line in errors.splitlines() if not re.fullmatch(r"\w+: \d+ of \d+", line)]
