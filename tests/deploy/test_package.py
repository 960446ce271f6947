"""The package, as far as it can be judged without building it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]


def test_all_that_is_to_come_along_exists() -> None:
    """Each pattern of files that are no code matches some; a pattern that matches none means files left behind."""
    toml: Any = pytest.importorskip("tomllib", reason="Python 3.10 reads no TOML")
    settings = toml.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"]
    patterns = settings["package-data"]["edge_worker"]
    assert [pattern for pattern in patterns if not any((ROOT / "edge_worker").glob(pattern))] == []
