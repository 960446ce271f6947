"""``deploy/rollout.sh`` with wheels of this project; ``make rollout`` builds the one that they are made from."""

from __future__ import annotations

import sys
import sysconfig
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import systemd_box
from rollout_hosts import new_host

from edge_worker import __version__

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from brokers import Mosquitto
    from rollout_hosts import Host

ROOT = Path(__file__).parents[2]
BUILT = [*ROOT.glob(f"dist/edge_worker-{__version__}-cp{sys.version_info[0]}{sys.version_info[1]}-*.whl")]
# The wheel is really installed; what it depends on is taken from here instead of from an index.
DEPENDENCIES = Path(np.__file__).parents[1]
INSTALL = f"""{sys.executable} -m venv --without-pip "$1"
{sys.executable} -m pip --quiet --python "$1/bin/python" install --no-deps --no-index "$2"
echo {DEPENDENCIES} >"$1/lib/python{sysconfig.get_python_version()}/site-packages/dependencies.pth"
"""
WORKER = "edge_worker/service/app.py"
MODEL = "edge_worker/models/m2fp-lite/model.onnx"

pytestmark = [
    pytest.mark.mosquitto,
    pytest.mark.skipif(not BUILT, reason="there is no wheel in dist: make rollout"),
]


def wheel_with(folder: Path, version: str, changes: Mapping[str, str | None]) -> Path:
    """Make a wheel of *version* from the one that was built, with other contents of some files, or without them."""
    wheel = folder / BUILT[0].name.replace(__version__, version, 1)
    with zipfile.ZipFile(BUILT[0]) as before, zipfile.ZipFile(wheel, "w") as after:
        for name in before.namelist():
            content: bytes | str | None = changes.get(name, before.read(name))
            if name.endswith(("edge_worker/__init__.py", "/METADATA", "/RECORD")):
                content = before.read(name).decode().replace(__version__, version)
            if content is not None:
                after.writestr(name.replace(__version__, version), content)
    return wheel


@pytest.fixture
def host(mosquitto: Mosquitto, tmp_path: Path) -> Iterator[Host]:
    """A host without a release, whose worker has the model that ships."""
    systemd_box.require()
    with new_host(tmp_path, mosquitto.port, install=INSTALL, model="builtin:m2fp-lite") as host:
        yield host


def test_wheels_that_work_follow_each_other_and_others_are_taken_back(host: Host, tmp_path: Path) -> None:
    """The version that runs is the last whose wheel parsed a frame, whether another has no model or does not start."""
    first = host.rollout(BUILT[0])
    assert (first.returncode, host.release, host.told()) == (0, __version__, ""), first.stderr
    second = host.rollout(wheel_with(tmp_path, "98.0", {}))
    assert (second.returncode, host.release, host.told()) == (0, "98.0", ""), second.stderr
    assert host.box.run("/opt/edge-worker/bin/edge-worker", "--version").stdout == "edge-worker 98.0\n"

    without_model = host.rollout(wheel_with(tmp_path, "99.0", {MODEL: None}))
    assert (without_model.returncode, host.release) == (1, "98.0"), without_model.stderr
    assert "model.onnx: No such file" in without_model.stderr
    assert "nothing has changed" in host.told()

    crashes = host.rollout(wheel_with(tmp_path, "99.1", {WORKER: "import absent\n"}))
    assert (crashes.returncode, host.release) == (1, "98.0"), crashes.stderr
    assert "does not work; edge_worker-98.0-" in host.told()
