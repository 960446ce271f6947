"""What a process holds of the machine: memory, file descriptors, threads."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from chaos.lab import Lab

FDS_ALLOWED: Final = 3
"""That a process may hold more than at first: a connection or a file may be open at the moment of looking."""


@dataclass(frozen=True)
class Probes:
    """Of one process at one moment."""

    rss_mb: float
    fds: int
    threads: int

    @classmethod
    def of(cls, pid: int) -> Probes:
        """Read them of process *pid*."""
        status = Path(f"/proc/{pid}/status").read_text(encoding="ascii", errors="replace")
        numbers = {name: int(value) for name, value in re.findall(r"^(\w+):\s+(\d+)", status, re.MULTILINE)}
        fds = sum(1 for _ in Path(f"/proc/{pid}/fd").iterdir())
        return cls(numbers["VmRSS"] * 1024 / 1e6, fds, numbers["Threads"])


def require_no_leak(lab: Lab, before: Probes, after: Probes) -> None:
    """Require that the worker's file descriptors and threads are no more than they were, and report its memory."""
    lab.require(after.fds <= before.fds + FDS_ALLOWED, f"file descriptors grew from {before.fds} to {after.fds}")
    lab.require(after.threads <= before.threads + 1, f"threads grew from {before.threads} to {after.threads}")
    lab.measure("worker's memory", f"{before.rss_mb:.0f} → {after.rss_mb:.0f} MB")
