"""Look up the pinned versions in an advisory database; if none can be reached, report how old the pins are.

``make audit`` runs it with pip-audit installed. Exit code 1: a version has a known vulnerability, or nothing could be
looked up and the pins are older than ``MAX_AGE_DAYS``. pip-audit itself succeeds even if no package could be looked up.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
PINS = ROOT / "deploy" / "requirements.txt"
PINS_OF_THE_GATEWAY = ROOT / "deploy" / "gateway.txt"  # written together with the others
MAX_AGE_DAYS = 90.0
LIMIT_S = 300
DAY_S = 86_400


def main() -> int:
    """Audit, and report what was found."""
    dependencies = look_up()
    flaws = [flaw for dependency in dependencies for flaw in flaws_of(dependency)]
    unknown = [dependency["name"] for dependency in dependencies if "vulns" not in dependency]
    for line in flaws:
        sys.stdout.write(line + "\n")
    if flaws:
        return 1
    if dependencies and not unknown:
        sys.stdout.write(f"{len(dependencies)} pinned versions, none with a known flaw\n")
        return 0
    named = ", ".join(unknown) or "all of them"
    sys.stdout.write(f"not looked up (no index of advisories knows them, or none was reached): {named}\n")
    return judge_age()


def look_up() -> list[dict[str, Any]]:
    """Return pip-audit's report on each pinned version; empty if no index was reachable."""
    options = [
        "--no-deps",
        "--disable-pip",
        "--progress-spinner",
        "off",
        "--format",
        "json",
        "--requirement",
        str(PINS),
        "--requirement",
        str(PINS_OF_THE_GATEWAY),
    ]
    command = [sys.executable, "-m", "pip_audit", *options]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=LIMIT_S)  # noqa: S603
    try:
        return list(json.loads(done.stdout)["dependencies"])
    except ValueError:
        sys.stdout.write((done.stderr.strip().splitlines() or ["pip-audit said nothing"])[-1] + "\n")
        return []


def flaws_of(dependency: dict[str, Any]) -> list[str]:
    """Return a line for each known vulnerability of a pinned version."""
    name = f"{dependency['name']} {dependency.get('version', '')}"
    return [
        f"{name}: {flaw['id']}, mended in {', '.join(flaw['fix_versions']) or 'no release yet'}"
        for flaw in dependency.get("vulns", ())
    ]


def judge_age() -> int:
    """Report how old the pins are; returns 1 if they are too old to be trusted without a lookup."""
    days = (time.time() - pinned_at()) / DAY_S
    sys.stdout.write(f"the versions were pinned {days:.0f} days ago\n")
    if days <= MAX_AGE_DAYS:
        return 0
    sys.stdout.write(f"that is more than {MAX_AGE_DAYS:.0f}: pin the newest with `make lock`, and test\n")
    return 1


def pinned_at() -> float:
    """Return when the pins last changed, seconds since 1970: the commit time, or without history the file's."""
    command = ["git", "-C", str(ROOT), "log", "-1", "--format=%ct", "--", str(PINS)]
    try:
        timestamp = subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()  # noqa: S603
    except (OSError, subprocess.CalledProcessError):
        timestamp = ""
    return float(timestamp or PINS.stat().st_mtime)


if __name__ == "__main__":
    sys.exit(main())
