"""A real worker process with a configuration file, which can be stopped and killed."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import yaml
from brokers import wait_until

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Self

START_S: Final = 60.0
"""Time to load and compile the small seeded model on a busy machine."""
STOP_S: Final = 30.0
IMAGE: Final = Path(__file__).parent / "golden" / "tiny-multi" / "frame.png"


class WorkerProcess:
    """``edge-worker run`` with node id ``box``, a small model and short timeouts."""

    _trials: bytes | None = None
    """Outcome of the first worker's engine trials, reused by the others."""

    def __init__(
        self, directory: Path, port: int, settings: Mapping[str, Any], environment: Mapping[str, str] | None = None
    ) -> None:
        """*settings* are sections of the configuration that replace the default ones."""
        self._directory = directory
        self._environment = {
            **os.environ,
            "XDG_CACHE_HOME": str(directory),
            "XDG_STATE_HOME": str(directory),
            **(environment or {}),
        }
        self.log_file = directory / "worker.log"
        self._process: subprocess.Popen[bytes] | None = None
        self.configuration = directory / "edge_worker.yaml"
        self.configure(
            {
                "node": {"id": "box"},
                "mqtt": {"host": "127.0.0.1", "port": port, "reconnect": {"min_s": 0.1, "max_s": 0.5}},
                "model": {"path": "builtin:seeded", "short_side": 64},
                **settings,
            }
        )

    def configure(self, settings: Mapping[str, Any]) -> None:
        """Write the configuration file."""
        self.configuration.write_text(yaml.safe_dump(dict(settings)))

    def start(self) -> Self:
        """Start it; it may not be ready yet."""
        known = self._directory / "edge-worker" / "engines.json"
        if WorkerProcess._trials and not known.exists():
            known.parent.mkdir(exist_ok=True)
            known.write_bytes(WorkerProcess._trials)
        with self.log_file.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "edge_worker", "run", "-c", self.configuration],
                stdout=log,
                stderr=log,
                env=self._environment,
            )
        return self

    def ready(self) -> Self:
        """Start it and wait until it is online."""
        seen = len(self.states())
        self.start()
        wait_until(lambda: "online" in self.states()[seen:], f"the worker is online ({self.log_file})", START_S)
        with suppress(OSError):
            WorkerProcess._trials = (self._directory / "edge-worker" / "engines.json").read_bytes()
        return self

    def log(self) -> list[dict[str, Any]]:
        """Return its log lines so far."""
        lines = []
        for line in self.log_file.read_text(errors="replace").splitlines():
            with suppress(ValueError):
                lines.append(json.loads(line))
        return lines

    def states(self) -> list[str]:
        """Return its states so far, including those of earlier processes."""
        if not self.log_file.exists():
            return []
        return [line["new"] for line in self.log() if line["event"] == "state"]

    @property
    def pid(self) -> int:
        """Its process id."""
        assert self._process is not None
        return self._process.pid

    def model_pid(self) -> int:
        """Process id of its (first) model process."""
        assert self._process is not None
        children = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children").read_text().split()
        commands = {pid: Path(f"/proc/{pid}/cmdline").read_bytes() for pid in children}
        if not commands:  # forked by another thread than the main one
            found = subprocess.run(["pgrep", "-P", str(self._process.pid)], capture_output=True, check=True).stdout
            return int(re.findall(rb"\d+", found)[0])
        return int(next(pid for pid, command in commands.items() if b"edge_worker.inference.main" in command))

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal."""
        assert self._process is not None
        self._process.send_signal(number)

    def kill(self) -> None:
        """``kill -9``."""
        self.signal(signal.SIGKILL)
        self.wait()

    def wait(self) -> int:
        """Wait until it exits; returns the exit code."""
        assert self._process is not None
        return self._process.wait(STOP_S)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.wait(STOP_S)
