"""The processes a tool starts: each with its log, all of them ended with the tool."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType

    from typing_extensions import Self

# How long a child may take to end after SIGTERM: longer than the worker's own budget for draining.
GRACE_S = 15.0


class Children:
    """A context in which processes run; leaving it ends them, the last started first."""

    def __init__(self) -> None:
        """Start nothing yet."""
        self._running: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> Self:
        """Enter the context."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """End all processes."""
        while self._running:
            self.stop(self._running[-1])

    def start(self, module: str, arguments: list[str], *, log: Path, answers: bool = False) -> subprocess.Popen[bytes]:
        """Run ``python -m MODULE ARGUMENTS``; what it writes goes to *log*, or if it *answers* its output to a pipe.

        It has a session of its own: Ctrl-C in the terminal reaches this process alone, which then ends it in order.
        Settings of the user's own worker (``EDGE_WORKER__…``) are kept from it.
        """
        tether = [sys.executable, "-m", "edge_worker.tools.tether", str(os.getpid())]
        with log.open("wb") as stderr:
            process = subprocess.Popen(  # noqa: S603 - our own modules
                [*tether, sys.executable, "-m", module, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE if answers else stderr,
                stderr=stderr,
                env={name: value for name, value in os.environ.items() if not name.startswith("EDGE_WORKER__")},
                start_new_session=True,
            )
        self._running.append(process)
        return process

    def stop(self, process: subprocess.Popen[bytes]) -> None:
        """End *process*: politely, then by force."""
        process.terminate()
        try:
            process.wait(GRACE_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if process.stdout:
            process.stdout.close()
        self._running.remove(process)
