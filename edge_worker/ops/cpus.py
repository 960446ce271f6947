"""CPUs available to this process: affinity mask and cgroup CPU quota."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from pathlib import Path

from edge_worker.common.files import text_of
from edge_worker.common.platforms import available_cpus
from edge_worker.ops.control_groups import control_groups


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
    quotas = [quota for directory in control_groups(root, "cpu") if (quota := _quota(directory)) is not None]
    return min(quotas, default=None)


def _quota(directory: Path) -> float | None:
    """Return the quota of one control group, in CPUs' worth of time."""
    limit, _, period = text_of(directory / "cpu.max").strip().partition(" ")
    if not limit:
        limit = text_of(directory / "cpu.cfs_quota_us").strip()
        period = text_of(directory / "cpu.cfs_period_us").strip()
    return int(limit) / int(period) if limit.isdigit() and period.isdigit() else None
