"""The audit of pinned versions: what it makes of pip-audit's answers, and of none."""

from __future__ import annotations

import json
import runpy
import subprocess
from pathlib import Path
from typing import Any

import pytest

SCRIPT = Path(__file__).parents[2] / "scripts" / "audit.py"
DAY_S = 86_400
CLEAN = {"name": "numpy", "version": "2.5.5", "vulns": []}
FLAWED = {"name": "pillow", "version": "9.0.0", "vulns": [{"id": "PYSEC-1", "fix_versions": ["9.0.1"]}]}
UNKNOWN = {"name": "rich", "skip_reason": "Dependency not found on PyPI and could not be audited: rich (15.0.0)"}


def audit(monkeypatch: pytest.MonkeyPatch, answer: str, *, age_days: float) -> int:
    """Run the script with pip-audit answering *answer*, and pins of a certain age."""
    world = runpy.run_path(str(SCRIPT))["main"].__globals__

    def run(command: list[str], **_options: Any) -> subprocess.CompletedProcess[str]:  # noqa: ANN401 - of subprocess.run
        said = f"{1_000_000_000 - age_days * DAY_S:.0f}\n" if command[0] == "git" else answer
        return subprocess.CompletedProcess(command, 0, said, "no route to host")

    monkeypatch.setattr(world["subprocess"], "run", run)
    monkeypatch.setattr(world["time"], "time", lambda: 1_000_000_000.0)
    return int(world["main"]())


@pytest.mark.parametrize(
    ("dependencies", "age_days", "outcome"),
    [
        ([CLEAN], 500, (0, "1 pinned versions, none with a known flaw")),
        ([CLEAN, FLAWED], 1, (1, "pillow 9.0.0: PYSEC-1, mended in 9.0.1")),
        ([CLEAN, UNKNOWN], 30, (0, "none was reached): rich")),
        ([CLEAN, UNKNOWN], 30, (0, "pinned 30 days ago")),
        ([UNKNOWN], 200, (1, "make lock")),
    ],
)
def test_flaws_and_age_are_judged(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    dependencies: list[dict[str, Any]],
    age_days: float,
    outcome: tuple[int, str],
) -> None:
    """A known flaw is an error; versions that could not be looked up are no success, but a question of their age."""
    code, said = outcome
    assert audit(monkeypatch, json.dumps({"dependencies": dependencies}), age_days=age_days) == code
    assert said in capsys.readouterr().out


def test_an_index_out_of_reach_is_told(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """With what pip-audit said last, and the age of the pins."""
    assert audit(monkeypatch, "", age_days=1) == 0
    out = capsys.readouterr().out
    assert "no route to host" in out
    assert "pinned 1 days ago" in out
