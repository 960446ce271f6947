"""``deploy/rollout.sh`` on a real systemd and a real broker: a good release stays, a broken one is taken back."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import systemd_box
from brokers import free_port
from systemd_box import SystemdBox

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from brokers import Mosquitto

ROOT = Path(__file__).parents[2]
UNIT = "edge-worker.service"
SETTINGS = f"""{systemd_box.readable(ROOT)}
StandardOutput=append:/run/edge-worker.log
StandardError=append:/run/edge-worker.log
"""
CONFIG = """
node: {{id: box}}
mqtt: {{host: 127.0.0.1, port: {port}, keepalive_s: 5, reconnect: {{min_s: 0.1, max_s: 0.5}}}}
model: {{path: "builtin:seeded"}}
ops: {{http: {{port: {health}}}}}
"""
# A release is a folder with a program; this one is the checkout's, after what makes it a release of its own.
PROGRAM = """#!/bin/sh
{own}
PYTHONPATH={source} exec {python} -m edge_worker "$@"
"""
INSTALL = """mkdir -p "$1/bin"
cp "$2" "$1/bin/edge-worker"
chmod +x "$1/bin/edge-worker"
ln -s {python} "$1/bin/python"
"""
# In the place of ssh and scp to a host: the box.
SSH = '#!/bin/sh\nshift\nexec nsenter --target {first} --mount --pid sh -c "$*"\n'
SCP = '#!/bin/sh\ncp "$2" "$3" "/proc/{first}/root/${{4#*:}}"\n'
SUDO = '#!/bin/sh\nexec "$@"\n'
GOOD = ""
CRASHES = 'case "$1" in run) exit 1 ;; check) exit 0 ;; esac'
DEAF = """[ "$1" = check ] && exit 0
[ "$1" = run ] && export EDGE_WORKER__CAMERAS='[{topic: "elsewhere/{camera}/frame"}]'
"""
REFUSES = 'if [ "$1" = check ]; then exit 78; fi'

pytestmark = [pytest.mark.mosquitto, pytest.mark.timeout(300)]


class Host:
    """A box to roll out to, and the programs that reach it."""

    def __init__(self, box: SystemdBox, folder: Path, health: int) -> None:
        self.box, self._folder, self._health = box, folder, health
        self.notes = box.root / "run" / "notes"
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
            "INSTALL": INSTALL.format(python=sys.executable),
            "NOTIFY": str(programs / "notify"),
            "READY_URL": f"http://127.0.0.1:{health}/readyz",
        }

    def rollout(self, version: str, own: str, patience_s: int = 60) -> subprocess.CompletedProcess[str]:
        """Roll out a release of *version* whose program begins with *own*."""
        wheel = self._folder / f"edge_worker-{version}-py3-none-any.whl"
        wheel.write_text(PROGRAM.format(own=own, source=ROOT, python=sys.executable))
        environ = {**self._environ, "PATIENCE_S": str(patience_s)}
        command = [str(ROOT / "deploy" / "rollout.sh"), "box", str(wheel)]
        return subprocess.run(command, env=environ, check=False, capture_output=True, text=True, timeout=200)

    @property
    def release(self) -> str:
        """The version that the symlink leads to, and that runs."""
        assert self.box.show(UNIT, "ActiveState") == "active"
        return (self.box.root / "opt" / "edge-worker").readlink().name.split("-")[1]

    def told(self) -> str:
        """What somebody was notified of since the last time."""
        text = self.notes.read_text() if self.notes.exists() else ""
        self.notes.unlink(missing_ok=True)
        return text


@pytest.fixture
def host(make_mosquitto: Callable[..., Mosquitto], tmp_path: Path) -> Iterator[Host]:
    """A host with the units and a configuration, and no release yet."""
    systemd_box.require()
    broker, health = make_mosquitto(), free_port()
    units, files = tmp_path / "units", tmp_path / "files"
    systemd_box.copy_units(units, UNIT, SETTINGS)
    config = files / "etc" / "edge-worker" / "edge_worker.yaml"
    config.parent.mkdir(parents=True)
    config.write_text(CONFIG.format(port=broker.port, health=health))
    with SystemdBox(units, files) as box:
        yield Host(box, tmp_path, health)


def test_a_release_stays_only_where_it_works(host: Host) -> None:
    """One that parses a frame stays; one that crashes, answers no frame or refuses the configuration does not.

    The one before runs again then, somebody is told, and the exit code says so.
    """
    good = host.rollout("1.0", GOOD)
    assert (good.returncode, host.release, host.told()) == (0, "1.0", ""), good.stderr

    for version, own in (("1.1", CRASHES), ("1.2", DEAF)):
        broken = host.rollout(version, own, patience_s=3)
        assert (broken.returncode, host.release) == (1, "1.0"), broken.stderr
        assert f"edge_worker-{version}-py3-none-any" in (told := host.told())
        assert "does not work; edge_worker-1.0-" in told

    worker = host.box.show(UNIT, "MainPID")
    refused = host.rollout("1.3", REFUSES)
    assert (refused.returncode, host.release) == (1, "1.0"), refused.stderr
    assert "nothing has changed" in host.told()
    assert host.box.show(UNIT, "MainPID") == worker


def test_what_cannot_be_rolled_out_is_said(tmp_path: Path) -> None:
    """Without a wheel the usage is shown, settings included, and nothing is done."""
    command = [str(ROOT / "deploy" / "rollout.sh"), "host", str(tmp_path / "absent.whl")]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=20)
    assert done.returncode == 2
    assert {"deploy/rollout.sh HOST WHEEL", "PATIENCE_S=60"} <= set(re.split(r"\s{2,}|\n", done.stderr))
