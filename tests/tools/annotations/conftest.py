"""Results to export."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from annotated import write_results

from edge_worker.tools.annotations.results import ParsedImage, Results

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that they are in."""
    folder = tmp_path_factory.mktemp("results")
    write_results(folder)
    return folder


@pytest.fixture(scope="module")
def images(folder: Path) -> list[ParsedImage]:
    """The same, as they are read."""
    results = Results(folder)
    return [results.read(file) for file in results.files]
