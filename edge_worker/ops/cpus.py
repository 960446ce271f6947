"""CPUs available to this process: affinity mask and cgroup CPU quota."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING

from edge_worker.common.platforms import available_cpus

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass(frozen=True, slots=True)
class CpuAllowance:
    """CPU affinity and quota of this process.

    Attributes:
        cpus: CPU numbers in the affinity mask, ascending.
        quota: CPUs' worth of time that the control group allows; None: no limit.
    """

    cpus: tuple[int, ...]
    quota: float | None

    @classmethod
    def read(cls, root: Path = Path("/")) -> CpuAllowance:
        """Read the allowance of this process; *root* contains ``proc`` and ``sys``."""
        return cls(cpus=available_cpus(), quota=cgroup_quota(root))

    @property
    def usable(self) -> int:
        """Number of threads that can run at once: two with a quota of 2.5, and at least one."""
        quota = inf if self.quota is None else self.quota
        return max(1, int(min(len(self.cpus), quota)))


def cgroup_quota(root: Path) -> float | None:
    """Return the smallest CPU quota of this process's control group and its parents (v2 or v1); None: no limit."""
    quotas = [quota for directory in _cpu_groups(root) if (quota := _quota(directory)) is not None]
    return min(quotas, default=None)


def _cpu_groups(root: Path) -> Iterator[Path]:
    """Return the control groups that may limit this process's CPU time, in all mounted hierarchies."""
    for line in _text(root / "proc/self/cgroup").splitlines():
        _, controllers, path = line.split(":", 2)
        for mount in _mounts(root / "sys/fs/cgroup", controllers):
            group = mount / path.lstrip("/")
            # Inside a container the path may be the host's: then only the mount point itself is there.
            yield from (step for step in (group, *group.parents) if step.is_relative_to(mount))


def _mounts(cgroup: Path, controllers: str) -> tuple[Path, ...]:
    """Return the mount points of the hierarchy of *controllers* (field of ``/proc/self/cgroup``; empty: version 2)."""
    if not controllers:
        return (cgroup, cgroup / "unified")
    return (cgroup / controllers, cgroup / "cpu") if "cpu" in controllers.split(",") else ()


def _quota(directory: Path) -> float | None:
    """Return the quota of one control group, in CPUs' worth of time."""
    limit, _, period = _text(directory / "cpu.max").strip().partition(" ")
    if not limit:
        limit = _text(directory / "cpu.cfs_quota_us").strip()
        period = _text(directory / "cpu.cfs_period_us").strip()
    return int(limit) / int(period) if limit.isdigit() and period.isdigit() else None


def _text(path: Path) -> str:
    """Return the text of a file; empty if it is missing (another cgroup version or system)."""
    try:
        return path.read_text(encoding="ascii")
    except OSError:
        return ""
