"""What stands between a tag and a release."""

from __future__ import annotations

import re
import runpy
from pathlib import Path

import pytest

SCRIPT = runpy.run_path(str(Path(__file__).parents[2] / "scripts" / "release_notes.py"))
PYPROJECT = '[project]\nversion = "0.2.0"\n'
CHANGELOG = "# Changes\n\n## 0.2.0 – 2026-02-01\n\n- One.\n- Two.\n\n## 0.1.0 – 2026-01-01\n\nFirst version.\n"


def test_the_notes_are_those_of_the_version() -> None:
    """All below its heading, nothing of the version before."""
    assert SCRIPT["notes"]("0.2.0", CHANGELOG, PYPROJECT) == "- One.\n- Two."


@pytest.mark.parametrize(
    ("version", "changelog", "complaint"),
    [
        ("0.3.0", CHANGELOG, "project.version is 0.2.0, not 0.3.0"),
        ("0.2.0", "# Changes\n", "no heading '## 0.2.0 – DATE'"),
        ("0.2.0", "## 0.2.0 – not yet released\n", "'not yet released' should be the date"),
    ],
)
def test_nothing_is_released_by_mistake(version: str, changelog: str, complaint: str) -> None:
    """Not another version than the package's, and none that the changelog does not date."""
    with pytest.raises(ValueError, match=re.escape(complaint)):
        SCRIPT["notes"](version, changelog, PYPROJECT)
