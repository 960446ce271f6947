"""Memory that this process may still use: what the kernel says is available, within the control groups' limits."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from edge_worker.common.files import text_of
from edge_worker.ops.control_groups import control_groups

if TYPE_CHECKING:
    from collections.abc import Iterator

_MB: Final = 1_000_000
_KIB: Final = 1024


def free_mb(root: Path = Path("/")) -> float | None:
    """Return the megabytes left; None where nothing says. *root* is where ``proc`` and ``sys`` are found."""
    return min((*_available(root), *_left_in_groups(root)), default=None)


def _available(root: Path) -> Iterator[float]:
    for line in text_of(root / "proc/meminfo").splitlines():
        name, _, value = line.partition(":")
        if name == "MemAvailable":
            yield int(value.split()[0]) * _KIB / _MB


def _left_in_groups(root: Path) -> Iterator[float]:
    """Yield what each control group from this process's up leaves; version 2 only."""
    for group in control_groups(root, "memory"):
        limit, used = text_of(group / "memory.max").strip(), text_of(group / "memory.current").strip()
        if limit.isdigit() and used.isdigit():
            yield max(0, int(limit) - int(used)) / _MB
