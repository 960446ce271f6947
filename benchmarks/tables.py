"""Formats rows of figures as a table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.table import Table

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_THREE_FIGURES = 100


def table_of(title: str, rows: Sequence[Mapping[str, Any]]) -> Table:
    """Return a table with a column per key of the first row; summaries are shown as median with quartiles."""
    table = Table(title=title, title_justify="left")
    for column in rows[0]:
        table.add_column(column, justify="right", overflow="fold")
    for row in rows:
        table.add_row(*(_cell(value) for value in row.values()))
    return table


def _cell(value: object) -> str:
    if isinstance(value, dict):
        return f"{value['median']:.1f} ({value['low']:.1f}–{value['high']:.1f})"
    if isinstance(value, float):
        return f"{value:.1f}" if value >= _THREE_FIGURES else f"{value:.2f}"
    return str(value)
