"""``edge-worker parse``: the worker's pipeline on files and folders, without a broker."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from edge_worker.common.errors import EdgeWorkerError
from edge_worker.ops.allowance import CpuAllowance
from edge_worker.ops.threads import ThreadPlan
from edge_worker.tools.image_files import CONTENT_TYPES, distinct_names, find_all
from edge_worker.tools.progress import Progress

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from edge_worker.config import Config


def run(config: Config, paths: Sequence[Path], out: Path, *, raw: bool, overwrite: bool) -> int:
    """Parse every image that has no results yet; print a line for each failure. Returns the exit code: 1 if any failed.

    With *raw*, the network's output is also written to the folder *out*; with *overwrite*, results are replaced.

    Raises:
        EdgeWorkerError: there are no images, or the model cannot be used.
    """
    files = find_all(paths, results=out)
    if not files:
        raise EdgeWorkerError(f"no images there (endings that count: {', '.join(sorted(CONTENT_TYPES))})")
    plan = ThreadPlan.from_config(config.threads, CpuAllowance.read())
    os.environ.update(plan.environment())
    plan.apply_to_process()
    # Imported here because numeric libraries size their thread pools when they are loaded.
    from edge_worker.tools.file_parser import FileParser  # noqa: PLC0415

    progress, names = Progress(), distinct_names(files)
    with progress.step(f"loading {config.model.path}"):
        parser = FileParser(config, plan, out, raw=raw)
    left = [file for file in files if overwrite or not parser.is_done(file, names[file])]

    def parsed(file: Path) -> bool:
        try:
            parser.parse(file, names[file])
        except (EdgeWorkerError, OSError) as error:
            reason = error.strerror if isinstance(error, OSError) else error
            progress.note(f"{file}: {reason}")
            return False
        return True

    failed = [parsed(file) for file in progress.count(left, len(left), "parsing")].count(False)
    skipped = len(files) - len(left)
    summary = f"{len(left) - failed} of {len(files)} parsed, results in {out}"
    summary += f"; {skipped} skipped, parsed before (--overwrite parses them again)" if skipped else ""
    progress.note(summary + (f"; {failed} failed" if failed else ""))
    return 1 if failed else 0
