"""The tools that check deploy/: installed by ``scripts/deploy_tools.sh``, or the system's."""

from __future__ import annotations

import os
import platform
import shutil
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FETCHED = ROOT / ".tools"
_ARE_FETCHED_HERE = sys.platform == "linux" and platform.machine() == "x86_64"


def tool(name: str) -> str:
    """Return the path of program *name*; skip the test if it is missing, but fail in CI."""
    path = FETCHED / name
    found = (
        str(path) if path.exists() else shutil.which(name, path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    )
    if found is None:
        if os.environ.get("CI") == "true" and _ARE_FETCHED_HERE:
            pytest.fail(f"{name} is missing: scripts/deploy_tools.sh could not get it")
        pytest.skip(f"{name} is not there: scripts/deploy_tools.sh")
    return found
