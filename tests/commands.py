"""The command line, run as a user runs it: in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pathlib import Path

LIMIT_S: Final = 60.0


def start(*arguments: str | Path, **environment: str) -> subprocess.Popen[str]:
    """Start ``edge-worker`` with *arguments*; settings of whoever runs the tests do not reach it."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("EDGE_WORKER")}
    return subprocess.Popen(
        [sys.executable, "-m", "edge_worker", *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**inherited, **environment},
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
