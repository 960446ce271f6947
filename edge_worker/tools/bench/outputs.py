"""The files that the command writes: checked before hours of measuring, written after them."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

from edge_worker.common.errors import EdgeWorkerError
from edge_worker.common.files import problem_with

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


def check(as_json: Path | None, as_plot: Path | None) -> None:
    """Create the folders of the requested files, if missing.

    Raises:
        EdgeWorkerError: a file could not be written; names the option and the remedy.
    """
    for option, file in (("--json", as_json), ("--plot", as_plot)):
        if file is not None and (problem := _problem(file)):
            raise EdgeWorkerError(f"{option} {file}: {problem}")
    if as_plot is not None:
        from edge_worker.tools.bench.plot import can_draw  # noqa: PLC0415 - imports what the other outputs do not need

        if not can_draw(as_plot):
            raise EdgeWorkerError(f"--plot {as_plot}: its ending names no kind of image: name one such as bench.png")


def write(findings: Mapping[str, Any], as_json: Path | None, as_plot: Path | None) -> None:
    """Write the requested files."""
    if as_json is not None:
        as_json.write_text(json.dumps(findings, indent=1) + "\n", encoding="utf-8")
    if as_plot is not None:
        from edge_worker.tools.bench.plot import plot  # noqa: PLC0415 - imports what the other outputs do not need

        plot(findings["variants"], as_plot)


def _problem(file: Path) -> str | None:
    """Return why *file* cannot be written, and the remedy; None if it can."""
    if file.is_dir():
        return "is a folder: name a file in it"
    if file.exists():
        return None if os.access(file, os.W_OK) else "is there and may not be written to: name another file"
    problem = problem_with(file.parent)
    return problem and f"no file can be made in {file.parent} ({problem}): name a file in another folder"
