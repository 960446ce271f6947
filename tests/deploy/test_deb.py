"""The package for Debian, by a real dpkg on a real systemd: installed, upgraded, removed, purged."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import systemd_box
from deploy_tools import tool
from systemd_box import SystemdBox

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
UNIT = "edge-worker.service"
# In the place of a release, which takes minutes to pack: it tells systemd that it is ready, unless it is broken.
PROGRAM = """#!/bin/sh
{own}
export RELEASE={version}
exec {python} -c "{ready}"
"""
READY = (
    "import os, socket, time; notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM); "
    "notify.sendto(b'READY=1', os.environ['NOTIFY_SOCKET']); time.sleep(60)"
)


class Host:
    """A box without the package, and packages for it."""

    def __init__(self, box: SystemdBox, folder: Path) -> None:
        self.box, self._folder = box, folder
        self.settings = box.root / "etc" / "edge-worker" / "edge_worker.yaml"

    def package(self, version: str, own: str = "") -> str:
        """Build the package of *version*, whose program begins with *own*."""
        program = self._folder / version / "bin" / "edge-worker"
        program.parent.mkdir(parents=True)
        program.write_text(PROGRAM.format(own=own, version=version, python=sys.executable, ready=READY))
        program.chmod(0o755)
        release = {
            "RELEASE": str(program.parents[1]),
            "VERSION": version,
            "ARCHITECTURE": "all",
            "PYTHON": "base-files",
        }
        command = [tool("nfpm"), "package", "--config", "deploy/deb/nfpm.yaml", "--packager", "deb", "--target"]
        package = self._folder / f"{version}.deb"
        subprocess.run([*command, package], check=True, capture_output=True, cwd=ROOT, env={**os.environ, **release})
        return str(package)

    def dpkg(self, *arguments: str) -> str:
        """Run dpkg, which is to succeed; returns what it said."""
        done = self.box.run("dpkg", "--force-confold", *arguments)
        assert done.returncode == 0, done.stderr
        return done.stderr

    @property
    def state(self) -> str:
        """Of the service."""
        return self.box.show(UNIT, "ActiveState")

    def release_in_work(self) -> str:
        """The version whose program the service runs."""
        pid = int(self.box.show(UNIT, "MainPID"))
        found = self.box.run("cat", f"/proc/{pid}/environ").stdout.split("\0")
        return next(line.partition("=")[2] for line in found if line.startswith("RELEASE="))


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Host]:
    """A host on which nothing is installed."""
    tool("nfpm")
    systemd_box.require()
    units, files = tmp_path / "units", tmp_path / "files"
    for folder in (units, files):
        folder.mkdir()
    systemd_box.add_drop_in(units, UNIT)
    with SystemdBox(units, files) as box:
        yield Host(box, tmp_path)


def test_a_life_as_a_package(host: Host) -> None:
    """It starts when told to; an upgrade restarts what runs and keeps the configuration; purged, nothing is left.

    A release that does not start is told of by dpkg, and the one before can be installed again.
    """
    first, second, broken = host.package("1.0"), host.package("1.1"), host.package("1.2", "exit 1")
    host.dpkg("--install", first)
    assert host.state == "inactive"
    host.settings.write_text("mqtt: {host: broker.example}\n")
    assert host.box.systemctl("enable", "--now", UNIT) == 0
    assert host.release_in_work() == "1.0"

    host.dpkg("--install", second)
    assert (host.state, host.release_in_work()) == ("active", "1.1")
    assert host.settings.read_text() == "mqtt: {host: broker.example}\n"

    assert "edge-worker does not start" in host.dpkg("--install", broken)
    host.dpkg("--install", second)
    assert (host.state, host.release_in_work()) == ("active", "1.1")

    state = host.box.root / "var" / "lib" / "private" / "edge-worker"
    assert state.exists()
    host.dpkg("--remove", "edge-worker")
    assert host.box.show(UNIT, "LoadState") == "not-found"
    assert (host.settings.exists(), state.exists()) == (True, True)
    assert not any((host.box.root / "etc" / "systemd" / "system").glob("*.wants/edge-worker*"))
    host.dpkg("--purge", "edge-worker")
    assert (host.settings.exists(), state.exists()) == (False, False)
    assert not (host.box.root / "opt" / "edge-worker").exists()
