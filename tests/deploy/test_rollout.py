"""``deploy/rollout.sh`` on a real systemd and a real broker: a good release stays, a broken one is taken back."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import systemd_box
from rollout_hosts import UNIT, new_host

if TYPE_CHECKING:
    from collections.abc import Iterator

    from brokers import Mosquitto
    from rollout_hosts import Host

ROOT = Path(__file__).parents[2]
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
GOOD = ""
CRASHES = 'case "$1" in run) exit 1 ;; check) exit 0 ;; esac'
DEAF = """[ "$1" = check ] && exit 0
[ "$1" = run ] && export EDGE_WORKER__CAMERAS='[{topic: "elsewhere/{camera}/frame"}]'
"""
REFUSES = 'if [ "$1" = check ]; then exit 78; fi'

pytestmark = pytest.mark.mosquitto


def release(folder: Path, version: str, own: str) -> Path:
    """Make a release of *version* whose program begins with *own*."""
    wheel = folder / f"edge_worker-{version}-py3-none-any.whl"
    wheel.write_text(PROGRAM.format(own=own, source=ROOT, python=sys.executable))
    return wheel


@pytest.fixture
def host(mosquitto: Mosquitto, tmp_path: Path) -> Iterator[Host]:
    """A host without a release."""
    systemd_box.require()
    install, settings = INSTALL.format(python=sys.executable), systemd_box.readable(ROOT)
    with new_host(tmp_path, mosquitto.port, install=install, model="builtin:seeded", settings=settings) as host:
        yield host


def test_a_release_stays_only_where_it_works(host: Host, tmp_path: Path) -> None:
    """One that parses a frame stays; one that crashes, answers no frame or refuses the configuration does not.

    The one before runs again then, somebody is told, and the exit code says so.
    """
    good = host.rollout(release(tmp_path, "1.0", GOOD))
    assert (good.returncode, host.release, host.told()) == (0, "1.0", ""), good.stderr

    for version, own in (("1.1", CRASHES), ("1.2", DEAF)):
        broken = host.rollout(release(tmp_path, version, own), patience_s=3)
        assert (broken.returncode, host.release) == (1, "1.0"), broken.stderr
        assert f"edge_worker-{version}-py3-none-any" in (told := host.told())
        assert "does not work; edge_worker-1.0-" in told

    worker = host.box.show(UNIT, "MainPID")
    refused = host.rollout(release(tmp_path, "1.3", REFUSES))
    assert (refused.returncode, host.release) == (1, "1.0"), refused.stderr
    assert "nothing has changed" in host.told()
    assert host.box.show(UNIT, "MainPID") == worker


def test_what_cannot_be_rolled_out_is_said(tmp_path: Path) -> None:
    """Without a wheel the usage is shown, settings included, and nothing is done."""
    command = [str(ROOT / "deploy" / "rollout.sh"), "host", str(tmp_path / "absent.whl")]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=20)
    assert done.returncode == 2
    assert {"deploy/rollout.sh HOST WHEEL", "PATIENCE_S=60"} <= set(re.split(r"\s{2,}|\n", done.stderr))
