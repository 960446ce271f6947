"""A target host for rollouts: a systemd box with units, a configuration and a broker, reached by a fake ssh."""

from __future__ import annotations

import os
import subprocess
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import systemd_box
from brokers import free_port
from systemd_box import SystemdBox

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[1]
UNIT = "edge-worker.service"
SETTINGS = """StandardOutput=append:/run/edge-worker.log
StandardError=append:/run/edge-worker.log
"""
CONFIG = """
node: {{id: box}}
mqtt: {{host: 127.0.0.1, port: {port}, keepalive_s: 5, reconnect: {{min_s: 0.1, max_s: 0.5}}}}
model: {{path: "{model}"}}
ops: {{http: {{port: {health}}}}}
"""
# Fake ssh, which runs the command in the box.
SSH = '#!/bin/sh\nshift\nexec nsenter --target {first} --mount --pid sh -c "$*"\n'
SCP = '#!/bin/sh\ncp "$2" "$3" "/proc/{first}/root/${{4#*:}}"\n'
SUDO = '#!/bin/sh\nexec "$@"\n'


class Host:
    """A target box, and the programs to reach it."""

    def __init__(self, box: SystemdBox, folder: Path, install: str, health: int) -> None:
        self.box = box
        self._notes = box.root / "run" / "notes"
        programs = folder / "programs"
        programs.mkdir()
        for name, text in {"ssh": SSH, "scp": SCP}.items():
            (programs / name).write_text(text.format(first=box.first))
        (programs / "sudo").write_text(SUDO)
        (programs / "notify").write_text('#!/bin/sh\necho "$*" >>/run/notes\n')
        for program in programs.iterdir():
            program.chmod(0o755)
        self._environ = {
            **os.environ,
            "PATH": f"{programs}:{os.environ['PATH']}",
            "INSTALL": install,
            "NOTIFY": str(programs / "notify"),
            "READY_URL": f"http://127.0.0.1:{health}/readyz",
        }

    def rollout(self, wheel: Path, patience_s: int = 60) -> subprocess.CompletedProcess[str]:
        """Run ``deploy/rollout.sh``."""
        environ = {**self._environ, "PATIENCE_S": str(patience_s)}
        command = [str(ROOT / "deploy" / "rollout.sh"), "box", str(wheel)]
        return subprocess.run(command, env=environ, check=False, capture_output=True, text=True, timeout=200)

    @property
    def release(self) -> str:
        """Return the version that the symlink points to and that runs."""
        assert self.box.show(UNIT, "ActiveState") == "active"
        return (self.box.root / "opt" / "edge-worker").readlink().name.split("-")[1]

    def told(self) -> str:
        """Return the notifications since the last call."""
        text = self._notes.read_text() if self._notes.exists() else ""
        self._notes.unlink(missing_ok=True)
        return text


@contextmanager
def new_host(folder: Path, port: int, *, install: str, model: str, settings: str = "") -> Iterator[Host]:
    """Create a host with the units and a configuration with a broker on *port*, but no release yet.

    *install* is the command for a wheel; *settings* are added to the unit's ``[Service]``.
    """
    units, files, health = folder / "units", folder / "files", free_port()
    systemd_box.copy_units(units, UNIT, SETTINGS + settings)
    config = files / "etc" / "edge-worker" / "edge_worker.yaml"
    config.parent.mkdir(parents=True)
    config.write_text(CONFIG.format(port=port, health=health, model=model))
    with SystemdBox(units, files) as box:
        yield Host(box, folder, install, health)
