"""npm programs that tests use; ``scripts/services.sh`` installs them below tests/npm."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Final

import pytest

FOLDER: Final = Path(__file__).parent / "npm"


def require_package(name: str) -> Path:
    """Return the folder of package *name*; skip the test if it is missing, but fail in CI."""
    folder = FOLDER / "node_modules" / name
    if not folder.is_dir():
        missing = f"npm's {name} is not installed (scripts/services.sh)"
        if os.environ.get("CI") == "true":
            pytest.fail(missing)
        pytest.skip(missing)
    return folder


def run_script(name: str, text: str) -> str:
    """Pass *text* to the script *name* of tests/npm; returns its output."""
    command = ["node", str(FOLDER / name)]
    return subprocess.run(command, input=text, capture_output=True, text=True, check=True, timeout=60).stdout
