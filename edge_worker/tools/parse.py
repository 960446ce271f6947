"""``edge-worker parse``: the worker's pipeline on files and folders, without a broker."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import track

from edge_worker.errors import EdgeWorkerError
from edge_worker.ops.cpus import CpuAllowance
from edge_worker.ops.threads import ThreadPlan
from edge_worker.tools.image_files import CONTENT_TYPES, distinct_names, find_all

if TYPE_CHECKING:
    from pathlib import Path

    from edge_worker.config import Config


@dataclass(frozen=True, slots=True)
class ParseOptions:
    """Which files, where results go, and whether the network's raw answer is written too."""

    paths: tuple[Path, ...]
    out: Path
    raw: bool


def run(config: Config, options: ParseOptions) -> int:
    """Parse every image; a line for each that fails. Returns the exit code: 1 if any failed.

    Raises:
        EdgeWorkerError: there are no images, or the model cannot be used.
    """
    files = find_all(options.paths, results=options.out)
    if not files:
        raise EdgeWorkerError(f"no images there (endings that count: {', '.join(sorted(CONTENT_TYPES))})")
    plan = ThreadPlan.from_config(config.threads, CpuAllowance.read())
    os.environ.update(plan.environment())
    plan.apply_to_process()
    # Not before: numeric libraries size their thread pools when they are loaded.
    from edge_worker.tools.file_parser import FileParser  # noqa: PLC0415

    parser = FileParser(config, plan, options.out, raw=options.raw)
    names = distinct_names(files)
    console = Console(stderr=True, highlight=False, soft_wrap=True)

    def parsed(file: Path) -> bool:
        try:
            parser.parse(file, names[file])
        except (EdgeWorkerError, OSError) as error:
            reason = error.strerror if isinstance(error, OSError) else error
            console.print(f"{file}: {reason}", markup=False)
            return False
        return True

    done = [parsed(file) for file in track(files, "parsing", console=console, disable=not console.is_terminal)]
    return _sum_up(len(done), done.count(False), options.out)


def _sum_up(count: int, failed: int, out: Path) -> int:
    sys.stderr.write(
        f"{count - failed} of {count} parsed, results in {out}" + (f"; {failed} failed\n" if failed else "\n")
    )
    return 1 if failed else 0
