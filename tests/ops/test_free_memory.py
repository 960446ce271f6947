"""What memory is left, as /proc and the control groups tell it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edge_worker.ops.free_memory import free_mb

if TYPE_CHECKING:
    from pathlib import Path


def _write(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)


def test_the_smallest_limit_counts(tmp_path: Path) -> None:
    """Of the machine and of each control group around this process; one without a limit has none."""
    assert free_mb(tmp_path) is None
    _write(tmp_path / "proc/meminfo", "MemTotal: 9000000 kB\nMemAvailable: 4000000 kB\n")
    assert free_mb(tmp_path) == 4096
    _write(tmp_path / "proc/self/cgroup", "0::/outer/inner\n")
    group = tmp_path / "sys/fs/cgroup/outer"
    _write(group / "inner/memory.max", "max\n")
    _write(group / "inner/memory.current", "1\n")
    assert free_mb(tmp_path) == 4096
    _write(group / "memory.max", "1000000000\n")
    _write(group / "memory.current", "400000000\n")
    assert free_mb(tmp_path) == 600


def test_this_machine_says_something() -> None:
    """Or nothing, where there is no /proc."""
    left = free_mb()
    assert left is None or left > 0
