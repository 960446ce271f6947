"""The list of log events says what the code logs, and the operations page prints it."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import NamedTuple

import edge_worker
from edge_worker.common import log_events

PACKAGE = Path(edge_worker.__file__).parent
LEVELS = {"debug", "info", "warning", "error", "critical", "exception", "log"}
FOREIGN = {"ops/logs.py"}
"""Where lines of libraries are passed on."""


class Call(NamedTuple):
    """One line of the log as the code writes it."""

    place: str
    level: str
    event: ast.expr
    fields: frozenset[str]


def calls() -> list[Call]:
    """Every call of a module's logger in the package."""
    files = {str(file.relative_to(PACKAGE)): file.read_text(encoding="utf-8") for file in PACKAGE.rglob("*.py")}
    return [
        _call(f"{name}:{node.lineno}", node)
        for name, code in files.items()
        for node in ast.walk(ast.parse(code))
        if name not in FOREIGN and isinstance(node, ast.Call) and _is_logger(node.func)
    ]


def _is_logger(called: ast.expr) -> bool:
    if isinstance(called, ast.Name):
        return called.id == "log"
    return (
        isinstance(called, ast.Attribute)
        and called.attr in LEVELS
        and ast.unparse(called.value) in {"_log", "self._log"}
    )


def _call(place: str, node: ast.Call) -> Call:
    level = node.func.attr if isinstance(node.func, ast.Attribute) else "log"
    event = node.args[1] if level == "log" and len(node.args) > 1 else node.args[0]
    named = frozenset(word.arg for word in node.keywords if word.arg is not None and word.arg != "exc_info")
    return Call(place, {"exception": "error"}.get(level, level), event, named)


def test_every_line_is_an_event_of_the_list() -> None:
    """Words are written in one place; no call invents its own."""
    strangers = [call.place for call in calls() if isinstance(call.event, ast.Constant | ast.JoinedStr)]
    assert calls()
    assert strangers == []


def test_every_event_is_logged_somewhere_with_its_level_and_fields() -> None:
    """The list has nothing that the code does not log, at the levels and with the fields it names."""
    code = "".join(file.read_text(encoding="utf-8") for file in PACKAGE.rglob("*.py"))
    assert [name for name in log_events.ALL if f"log_events.{name}" not in code] == []
    for call in calls():
        if ast.unparse(call.event).startswith("log_events."):
            event = log_events.ALL[ast.unparse(call.event).removeprefix("log_events.")]
            assert call.level in (*event.levels.split(", "), "log"), call.place
            assert call.fields <= set(event.fields), call.place


def test_the_operations_page_prints_the_list() -> None:
    """`python -m edge_worker.common.log_events` writes the table of docs/operations.md."""
    page = (PACKAGE.parent / "docs" / "operations.md").read_text(encoding="utf-8")
    assert log_events.table() in page
