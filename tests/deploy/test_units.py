"""The units for systemd, judged by systemd's own tools."""

from __future__ import annotations

import configparser
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from edge_worker.config import WatchdogConfig

DEPLOY = Path(__file__).parents[2] / "deploy" / "systemd"
UNITS = ("edge-worker.service", "edge-worker@.service", "edge-worker-gateway.service")
DROP_INS = sorted((DEPLOY / "drop-ins").glob("*.conf"))
INSTALLED = "/opt/edge-worker/bin/edge-worker"
MAX_EXPOSURE = 1.5


@pytest.fixture(scope="module")
def analyze() -> str:
    """Return the path of systemd-analyze; without it skip, and fail where CI should have installed it."""
    path = shutil.which("systemd-analyze")
    if path is None and "CI" in os.environ:
        pytest.fail("systemd-analyze is missing; .ci/run installs it")
    if path is None:
        pytest.skip("systemd-analyze is not installed")
    return path


def installed(unit: str, folder: Path) -> Path:
    """Put *unit* into *folder*, with a program in place that exists here."""
    copy = folder / unit
    copy.write_text((DEPLOY / unit).read_text().replace(INSTALLED, shutil.which("true") or "/bin/true"))
    return copy


def directives(path: Path) -> list[str]:
    """Return the lines that systemd acts on."""
    return [line for line in path.read_text().splitlines() if line and not line.startswith("#")]


def run(*command: str) -> tuple[int, str]:
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize("unit", UNITS)
def test_systemd_has_no_complaint(analyze: str, unit: str, tmp_path: Path) -> None:
    """``systemd-analyze verify`` accepts the unit without a word."""
    assert run(analyze, "verify", "--man=no", str(installed(unit, tmp_path))) == (0, "")


@pytest.mark.parametrize("drop_in", DROP_INS, ids=lambda path: path.stem)
def test_drop_ins_are_accepted_too(analyze: str, drop_in: Path, tmp_path: Path) -> None:
    """Each documented drop-in is valid on top of the unit."""
    unit = installed(UNITS[0], tmp_path)
    folder = tmp_path / f"{unit.name}.d"
    folder.mkdir()
    shutil.copy(drop_in, folder)
    assert run(analyze, "verify", "--man=no", str(unit)) == (0, "")


@pytest.mark.parametrize("unit", UNITS)
def test_little_is_exposed(analyze: str, unit: str, tmp_path: Path) -> None:
    """``systemd-analyze security`` rates the unit at 1.5 or less, of 10."""
    threshold = str(round(MAX_EXPOSURE * 10))
    path = str(installed(unit, tmp_path))
    code, text = run(analyze, "security", "--offline=true", f"--threshold={threshold}", "--no-pager", path)
    assert code == 0, text.splitlines()[-1]


def test_the_template_differs_only_in_names() -> None:
    """What is mended in one unit is mended in the other: only the instance's name tells them apart."""
    alone, template = (directives(DEPLOY / unit) for unit in UNITS[:2])
    assert [line.replace("/%i.yaml", "/edge_worker.yaml").replace(" (%i)", "").replace("-%i.", ".").replace("/%i", "")
            for line in template] == alone  # fmt: skip


def test_systemd_is_more_patient_than_the_worker() -> None:
    """Loading a model may take as long as the worker's own deadline before systemd gives up on the start."""
    unit = configparser.ConfigParser(strict=False, interpolation=None)
    unit.optionxform = str  # type: ignore[assignment,method-assign]  # names of directives keep their case
    unit.read(DEPLOY / UNITS[0])
    assert unit.getint("Service", "TimeoutStartSec") > WatchdogConfig().load_s
