"""Child processes of a tool: each has a log, and all end with the tool."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from edge_worker.common.errors import EdgeWorkerError

if TYPE_CHECKING:
    from pathlib import Path

# Seconds that a child may take to end after SIGTERM: more than the worker's own budget for draining.
GRACE_S = 25.0
LOG_TAIL_LINES = 20


@dataclass(frozen=True, slots=True)
class Child:
    """A process that must not end by itself, and its log file."""

    name: str
    process: subprocess.Popen[bytes]
    log: Path

    def check(self) -> None:
        """Check that it runs.

        Raises:
            EdgeWorkerError: it has ended; the message has the end of its log.
        """
        if self.process.poll() is not None:
            raise self.failure(f"the {self.name} ended with exit code {self.process.returncode}")

    def failure(self, problem: str) -> EdgeWorkerError:
        """Describe *problem* together with the end of the log."""
        tail = self.log.read_text(errors="replace").splitlines()[-LOG_TAIL_LINES:]
        return EdgeWorkerError("\n".join([problem, f"the end of {self.log}:", *tail]))


class Children:
    """Context manager that ends its processes on exit, the last started first."""

    def __init__(self, logs: Path) -> None:
        """Start nothing yet; each child's log is named after it, in the folder *logs*."""
        self._logs = logs
        self._running: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> Self:
        """Enter the context."""
        return self

    def __exit__(self, *_: object) -> None:
        """End all processes."""
        while self._running:
            _end(self._running[-1])
            self._running.pop()

    def start(self, name: str, module: str, *arguments: str, answers: bool = False) -> Child:
        """Run ``python -m MODULE ARGUMENTS``; see :meth:`start_program`."""
        return self.start_program(name, sys.executable, "-m", module, *arguments, answers=answers)

    def start_program(self, name: str, *command: str, answers: bool = False) -> Child:
        """Run *command*; its output goes to its log, or if it *answers*, standard output to a pipe.

        It gets its own session: Ctrl-C in the terminal reaches only this process, which then ends them in order.
        Environment variables of the user's own worker (``EDGE_WORKER…``) are not passed on.
        """
        tether = [sys.executable, "-m", "edge_worker.tools.demo.tether", str(os.getpid())]
        log = self._logs / f"{name}.log"
        with log.open("wb") as stderr:
            process = subprocess.Popen(  # noqa: S603 - our own modules, and mosquitto
                [*tether, *command],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE if answers else stderr,
                stderr=stderr,
                env={name: value for name, value in os.environ.items() if not name.startswith("EDGE_WORKER")},
                start_new_session=True,
            )
        self._running.append(process)
        return Child(name, process, log)


def _end(process: subprocess.Popen[bytes]) -> None:
    """End *process*: with SIGTERM, then by force."""
    process.terminate()
    try:
        process.wait(GRACE_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    if process.stdout:
        process.stdout.close()
