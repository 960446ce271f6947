"""The report: a table for people, and the same as JSON, from which a later run of some rows goes on."""

from __future__ import annotations

import json
import os
import platform
import re
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Final

from brokers import MOSQUITTO

from chaos.row import Result

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

JSON, MARKDOWN = "reliability.json", "reliability.md"

_HEAD: Final = """\
# Reliability

Written by `make chaos`, which runs real brokers, real workers and real faults, and accounts for every frame twice: by
what senders and receivers saw at the broker, and by what the worker says of itself (`received = processed + rejected +
dropped + waiting + in_work`, per camera, in every stats message of every run). A row fails if one promise in it fails
once. `make chaos ARGS="--only ROW"` repeats one row; the form *short* takes six minutes.

"""


def read(directory: Path) -> list[Result]:
    """Read the results of earlier runs; none where there is no report."""
    try:
        document = json.loads((directory / JSON).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return []
    return [Result.from_json(values) for values in document["rows"]]


def write(directory: Path, results: Sequence[Result]) -> None:
    """Write both files to *directory*."""
    directory.mkdir(parents=True, exist_ok=True)
    document = {"machine": machine(), "rows": [result.to_json() for result in results]}
    (directory / JSON).write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    (directory / MARKDOWN).write_text(_HEAD + _body(results), encoding="utf-8")


def machine() -> str:
    """Describe what it ran on, without naming it."""
    cpu = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text(encoding="utf-8"))
    memory_gb = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    said = subprocess.run([MOSQUITTO or "mosquitto", "-h"], capture_output=True, text=True, check=False).stdout
    broker = (said.splitlines() or ["mosquitto"])[0]
    cores = len(os.sched_getaffinity(0))
    processor = cpu[1] if cpu else platform.machine()
    return f"{cores} × {processor}, {memory_gb:.0f} GB, Linux, Python {platform.python_version()}, {broker}"


def _body(results: Sequence[Result]) -> str:
    lines = ["| fault | repeated | must show | measured | |", "|---|---|---|---|---|"]
    lines += [f"| {' | '.join(_cells(result))} |" for result in results]
    failed = [f"- `{result.name}`: {problem}" for result in results for problem in result.problems]
    lines += ["", *(["What did not hold:", "", *failed, ""] if failed else [])]
    return "\n".join([*lines, f"Machine: {machine()}.", "", *_when(results)]) + "\n"


def _cells(result: Result) -> list[str]:
    figures = ", ".join(f"{name}: {value}" for name, value in result.figures.items())
    return [result.fault, result.repetitions, result.required, figures, "passed" if result.passed else "**FAILED**"]


def _when(results: Iterable[Result]) -> list[str]:
    return [
        f"- `{result.name}`: {result.date}, form {result.form}, seed {result.seed}, {result.minutes:.1f} minutes"
        for result in results
    ]
