"""Print the changelog's section on a version that is about to be released.

    python3 scripts/release_notes.py 0.2.0

Fails if pyproject.toml has another version, or the changelog has no dated section for it.
"""

from __future__ import annotations

import re
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]


def notes(version: str, changelog: str, pyproject: str) -> str:
    """Return the text below the heading of *version*.

    Raises:
        ValueError: it must not be released; the message says why.
    """
    ours = tomllib.loads(pyproject)["project"]["version"]
    if version != ours:
        raise ValueError(f"pyproject.toml: project.version is {ours}, not {version}")
    heading = re.search(rf"^## {re.escape(version)} – (.*)$", changelog, re.MULTILINE)
    if heading is None:
        raise ValueError(f"CHANGELOG.md: no heading '## {version} – DATE'")
    if not re.fullmatch(r"\d{4}-\d{2}-\d{2}", heading[1]):
        raise ValueError(f"CHANGELOG.md: '{heading[1]}' should be the date of the release of {version}")
    return re.split(r"^## ", changelog[heading.end() :], maxsplit=1, flags=re.MULTILINE)[0].strip()


def main() -> int:
    """Print the notes of the version in the arguments; returns the exit code."""
    texts = ((ROOT / name).read_text(encoding="utf-8") for name in ("CHANGELOG.md", "pyproject.toml"))
    try:
        sys.stdout.write(notes(sys.argv[1], *texts) + "\n")
    except ValueError as problem:
        sys.stderr.write(f"{problem}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
