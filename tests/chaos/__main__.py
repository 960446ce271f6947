"""``python -m chaos``: run the rows, write the report, exit with 1 if one failed."""

from __future__ import annotations

import argparse
import math
import os
import shutil
import signal
import sys
import tempfile
import time
import traceback
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Final, NoReturn

from brokers import INSTALL_MOSQUITTO, MOSQUITTO

from chaos import report
from chaos.lab import Lab
from chaos.row import Result
from chaos.rows import ROWS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from chaos.row import Row

OUT: Final = Path("chaos_out")
"""Where the report of a short run goes, and what failed rows leave."""
REPOSITORY: Final = Path(__file__).resolve().parents[2]


def main(argv: Sequence[str] | None = None) -> int:
    """Run as the command line says; returns the exit code."""
    options = _parser().parse_args(argv)
    rows = [row for row in ROWS if not options.only or row.name in options.only]
    if MOSQUITTO is None:
        sys.stderr.write(f"mosquitto is not installed (Debian, Ubuntu: {INSTALL_MOSQUITTO})\n")
        return 1
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _end_all)
    os.environ.pop("PYTHONPATH", None)  # by which this program was found; the workers it starts are installed
    results = _run_all(rows, options)
    directory = options.out or (OUT if options.short or options.times else REPOSITORY / "docs")
    report.write(directory, _merged(report.read(directory), results))
    failed = [result for result in results if not result.passed]
    for result in failed:  # once more, at the end: of a long output, that is what a CI system keeps and people read
        _tell(result, "")
    sys.stdout.write(f"{len(results) - len(failed)} of {len(results)} rows passed; {directory}\n")
    return 1 if failed else 0


def _end_all(_number: int, _frame: object) -> NoReturn:
    """Leave at once, and leave no process behind: brokers and workers outlive a program that only ends."""
    for children in Path("/proc/self/task").glob("*/children"):
        with suppress(OSError):  # a thread that ended since
            for pid in children.read_text(encoding="ascii").split():
                with suppress(ProcessLookupError):
                    os.kill(int(pid), signal.SIGKILL)
    os._exit(1)


def _parser() -> argparse.ArgumentParser:
    names = [row.name for row in ROWS]
    parser = argparse.ArgumentParser(prog="make chaos", description="Faults on real things, and what came of them.")
    parser.add_argument("--short", action="store_true", help="few repetitions: some minutes")
    parser.add_argument("--only", action="append", choices=names, metavar="ROW", help=f"one of {', '.join(names)}")
    parser.add_argument("--times", type=int, help="repeat so often, whatever the form says")
    parser.add_argument("--seed", type=int, default=1, help="of all that is random (default: 1)")
    parser.add_argument("--jobs", type=int, default=1, help="rows run side by side, where they allow it (default: 1)")
    parser.add_argument("--out", type=Path, help="folder of the report (default: docs; in short form chaos_out)")
    return parser


def _run_all(rows: Sequence[Row], options: argparse.Namespace) -> list[Result]:
    """Run first the rows that should be alone, then the others side by side; returns them in the report's order.

    In short form none is alone: what it measures is not for the report, and its limits leave room.
    """
    with ThreadPoolExecutor(options.jobs) as pool:
        alone = {row.name: _run(row, options) for row in rows if row.alone and not options.short}
        others = [row for row in _longest_first(rows, options) if row.name not in alone]
        beside = {row.name: pool.submit(_run, row, options) for row in others}
        results = {**alone, **{name: future.result() for name, future in beside.items()}}
    return [results[row.name] for row in rows]


def _longest_first(rows: Sequence[Row], options: argparse.Namespace) -> list[Row]:
    """Sort *rows* by the time that they are going to take, so that none is left to run on by itself at the end.

    It is estimated from the report: minutes and repetitions of each row. Rows that are not in it come first.
    """
    reported = {result.name: result for result in report.read(REPOSITORY / "docs")}

    def minutes(row: Row) -> float:
        if (result := reported.get(row.name)) is None:
            return math.inf
        return result.minutes * _times(row, options) / int(result.repetitions.split()[0])

    return sorted(rows, key=minutes, reverse=True)


def _times(row: Row, options: argparse.Namespace) -> int:
    """Return how often *row* is repeated: repetitions, seconds or payloads."""
    return int(options.times or (row.short if options.short else row.full))


def _run(row: Row, options: argparse.Namespace) -> Result:
    times = _times(row, options)
    directory = Path(tempfile.mkdtemp(prefix=f"chaos-{row.name}-"))
    began = time.monotonic()
    random = Random(f"{options.seed} {row.name}")  # noqa: S311 - to be repeated, not to be secret
    lab = Lab(directory, random, times)
    try:
        with lab:
            row.run(lab)
    except Exception as error:  # noqa: BLE001 - a row that broke off is a row that failed; the others go on
        (directory / "traceback.txt").write_text(traceback.format_exc())
        lab.require(False, f"broke off: {type(error).__name__}: {error}")
    result = Result(
        row.name,
        row.fault,
        row.required,
        repetitions=f"{times} {row.unit}",
        figures=lab.findings.figures,
        problems=tuple(lab.findings.problems),
        seed=options.seed,
        form="by hand" if options.times else "short" if options.short else "full",
        date=time.strftime("%Y-%m-%d"),
        minutes=(time.monotonic() - began) / 60,
    )
    _tell(result, _keep(directory, result))
    return result


def _keep(directory: Path, result: Result) -> str:
    """Keep what a failed row left for whoever looks into it, and delete what others left; says where it is."""
    kept = OUT / result.name
    shutil.rmtree(kept, ignore_errors=True)
    if result.passed:
        shutil.rmtree(directory)
        return ""
    OUT.mkdir(exist_ok=True)
    shutil.move(directory, kept)
    return f"  see {kept}\n"


def _tell(result: Result, kept: str) -> None:
    figures = "".join(f"  {name}: {value}\n" for name, value in result.figures.items())
    problems = "".join(f"  NOT SO: {problem}\n" for problem in result.problems)
    verdict = "passed" if result.passed else "FAILED"
    sys.stdout.write(f"{result.name}: {verdict} in {60 * result.minutes:.0f} s\n{figures}{problems}{kept}")
    sys.stdout.flush()


def _merged(earlier: Sequence[Result], results: Sequence[Result]) -> list[Result]:
    """Rows that were run take the place of what an earlier run found."""
    found = {result.name: result for result in [*earlier, *results]}
    return [found[row.name] for row in ROWS if row.name in found]


if __name__ == "__main__":
    sys.exit(main())
