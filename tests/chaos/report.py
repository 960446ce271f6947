"""The report: tables for people, and the same as JSON, from which a later run of some rows goes on."""

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
NOTES: Final = "## Notes\n"
"""From here on the page belongs to people: another run keeps it."""

_HEAD: Final = """\
# Reliability

`make chaos` runs real brokers and workers under real faults, and writes this page. Every frame is accounted for twice:
by what senders and receivers saw at the broker, and by the worker's counters. A row fails if one promise fails once.

    make chaos                                   # every row in full, about 45 minutes with --jobs 3
    make chaos ARGS="--only ROW --times N"       # one row
    make chaos ARGS="--short --jobs 5"           # what CI runs

*frames*: accepted by the broker in QoS 1; *lost*: not answered; *again*: further replies with the same id.
[reliability.json](reliability.json) has all other figures.

"""
_COLUMNS: Final = {"frames": "frames accepted", "lost": "lost", "again": "answered again"}
"""Figures that most rows have, by the heading of their column."""
_TITLES: Final = ("row", "fault", "what must hold", "repeated", *_COLUMNS, "result")


def read(directory: Path) -> list[Result]:
    """Read the results of earlier runs; none where there is no report."""
    try:
        document = json.loads((directory / JSON).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return []
    return [Result.from_json(values) for values in document["rows"]]


def write(directory: Path, results: Sequence[Result]) -> None:
    """Write both files to *directory*; notes that people added to the page stay."""
    directory.mkdir(parents=True, exist_ok=True)
    document = {"machine": machine(), "rows": [result.to_json() for result in results]}
    (directory / JSON).write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    page = directory / MARKDOWN
    page.write_text(_HEAD + _body(results) + _notes(page), encoding="utf-8")


def machine() -> str:
    """Describe what it ran on, without naming it."""
    cpu = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text(encoding="utf-8"))
    memory_gb = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    broker = _version_of(MOSQUITTO) if MOSQUITTO else "no mosquitto"
    cores = len(os.sched_getaffinity(0))
    processor = cpu[1] if cpu else platform.machine()
    return f"{cores} × {processor}, {memory_gb:.0f} GB, Linux, Python {platform.python_version()}, {broker}"


def _version_of(mosquitto: str) -> str:
    said = subprocess.run([mosquitto, "-h"], capture_output=True, text=True, check=False).stdout
    return (said.splitlines() or ["mosquitto"])[0]


def _notes(page: Path) -> str:
    text = page.read_text(encoding="utf-8") if page.exists() else ""
    _, found, notes = text.partition(NOTES)
    return f"\n{found}{notes}" if found else ""


def _body(results: Sequence[Result]) -> str:
    sections = {
        "Results": [*_table(results), "", f"Machine: {machine()}."],
        "What did not hold": [f"- `{result.name}`: {problem}" for result in results for problem in result.problems],
    }
    return "\n".join(f"## {title}\n\n" + "\n".join(lines) + "\n" for title, lines in sections.items() if lines)


def _table(results: Iterable[Result]) -> list[str]:
    rule = "|".join("---:" if title in _COLUMNS else "---" for title in _TITLES)
    return [f"| {' | '.join(_TITLES)} |", f"|{rule}|", *(f"| {' | '.join(_cells(result))} |" for result in results)]


def _cells(result: Result) -> list[str]:
    columns = [result.figures.get(figure, "") for figure in _COLUMNS.values()]
    verdict = "passed" if result.passed else "**FAILED**"
    return [f"`{result.name}`", result.fault, result.required, result.repetitions, *columns, verdict]
