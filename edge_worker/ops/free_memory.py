"""Memory that this process may still use: what the kernel says is available, within the control groups' limits."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

_MB: Final = 1_000_000
_KIB: Final = 1024


def free_mb(root: Path = Path("/")) -> float | None:
    """Return the megabytes left; None where nothing says. *root* is where ``proc`` and ``sys`` are found."""
    return min((*_available(root), *_left_in_groups(root)), default=None)


def _available(root: Path) -> Iterator[float]:
    for line in _text(root / "proc/meminfo").splitlines():
        name, _, value = line.partition(":")
        if name == "MemAvailable":
            yield int(value.split()[0]) * _KIB / _MB


def _left_in_groups(root: Path) -> Iterator[float]:
    """Yield what each control group from this process's up leaves; version 2 only."""
    mount = root / "sys/fs/cgroup"
    for line in _text(root / "proc/self/cgroup").splitlines():
        if not line.startswith("0::"):
            continue
        group = mount / line.removeprefix("0::").lstrip("/")
        for step in (group, *group.parents):
            limit, used = _text(step / "memory.max").strip(), _text(step / "memory.current").strip()
            if step.is_relative_to(mount) and limit.isdigit() and used.isdigit():
                yield max(0, int(limit) - int(used)) / _MB


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii")
    except OSError:
        return ""
