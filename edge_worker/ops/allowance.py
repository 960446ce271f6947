"""CPUs and memory that this process may use, by its affinity mask and the limits of its control groups."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING, Final

from edge_worker.common.files import text_of
from edge_worker.common.platforms import available_cpus

if TYPE_CHECKING:
    from collections.abc import Iterator

_MB: Final = 1_000_000
_KIB: Final = 1024


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
    quotas = [quota for directory in _control_groups(root, "cpu") if (quota := _quota(directory)) is not None]
    return min(quotas, default=None)


def _quota(directory: Path) -> float | None:
    """Return the quota of one control group, in CPUs' worth of time."""
    limit, _, period = text_of(directory / "cpu.max").strip().partition(" ")
    if not limit:
        limit = text_of(directory / "cpu.cfs_quota_us").strip()
        period = text_of(directory / "cpu.cfs_period_us").strip()
    return int(limit) / int(period) if limit.isdigit() and period.isdigit() else None


def free_mb(root: Path = Path("/")) -> float | None:
    """Return the free memory in MB; None if unknown. *root* contains ``proc`` and ``sys``."""
    return min((*_available(root), *_left_in_groups(root)), default=None)


def _available(root: Path) -> Iterator[float]:
    for line in text_of(root / "proc/meminfo").splitlines():
        name, _, value = line.partition(":")
        if name == "MemAvailable":
            yield int(value.split()[0]) * _KIB / _MB


def _left_in_groups(root: Path) -> Iterator[float]:
    """Yield the MB left in each control group of this process, and in their parents; version 2 only."""
    for group in _control_groups(root, "memory"):
        limit, used = text_of(group / "memory.max").strip(), text_of(group / "memory.current").strip()
        if limit.isdigit() and used.isdigit():
            yield max(0, int(limit) - int(used)) / _MB


def _control_groups(root: Path, controller: str) -> Iterator[Path]:
    """Yield this process's groups and their parents in version 2, and in the hierarchy of *controller* in version 1.

    *root* contains ``proc`` and ``sys``.
    """
    for line in text_of(root / "proc/self/cgroup").splitlines():
        _, controllers, path = line.split(":", 2)
        for mount in _mounts(root / "sys/fs/cgroup", controllers, controller):
            group = mount / path.lstrip("/")
            # Inside a container the path may be the host's: then only the mount point itself is there.
            yield from (step for step in (group, *group.parents) if step.is_relative_to(mount))


def _mounts(cgroup: Path, controllers: str, wanted: str) -> tuple[Path, ...]:
    """Return the mount points of the hierarchy of *controllers* (field of ``/proc/self/cgroup``; empty: version 2)."""
    if not controllers:
        return (cgroup, cgroup / "unified")
    return (cgroup / controllers, cgroup / wanted) if wanted in controllers.split(",") else ()
