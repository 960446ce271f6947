"""The table in docs/brokers.md, between its two marks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from interop.trial import Outcome

BEGIN, END = "<!-- make brokers: begin -->\n", "<!-- make brokers: end -->\n"
_HEAD: Final = (
    "| broker | answered | MQTT | share groups | retained | `.` in names | remarks |\n|---|---|---|---|---|---|---|\n"
)
_WORDS: Final = {True: "yes", False: "no", None: "?"}


def table(outcomes: Sequence[Outcome]) -> str:
    """Markdown, a row for each broker."""
    return _HEAD + "".join(map(_row, outcomes))


def write(file: Path, outcomes: Sequence[Outcome]) -> None:
    """Put the table into *file*; all around it stays."""
    before, rest = file.read_text().split(BEGIN)
    file.write_text(before + BEGIN + table(outcomes) + END + rest.split(END)[1])


def _row(one: Outcome) -> str:
    name, answered = f"{one.broker} {one.version}".strip(), f"{one.answered} of {one.frames}"
    can = " | ".join(_WORDS[able] for able in (one.shared, one.retained, one.dots))
    return f"| {name} | {answered} | {one.mqtt or _WORDS[None]} | {can} | {one.remark} |\n"
