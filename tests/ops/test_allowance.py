"""What the machine allows, read from files laid out as the kernel does."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from edge_worker.ops.allowance import CpuAllowance, cgroup_quota, free_mb

if TYPE_CHECKING:
    from pathlib import Path

FOUR = (0, 1, 2, 3)


def write(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        file = root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return root


@pytest.mark.parametrize(
    ("files", "quota"),
    [
        ({}, None),
        ({"proc/self/cgroup": "0::/\n"}, None),
        ({"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "150000 100000\n"}, 1.5),
        ({"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "max 100000\n"}, None),
        ({"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": ""}, None),
        (
            {
                "proc/self/cgroup": "0::/system.slice/edge-worker.service\n",
                "sys/fs/cgroup/system.slice/cpu.max": "100000 100000\n",
                "sys/fs/cgroup/system.slice/edge-worker.service/cpu.max": "400000 100000\n",
            },
            1.0,
        ),
        (
            {
                "proc/self/cgroup": "5:cpu,cpuacct:/docker/abc\n0::/docker/abc\n",
                "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us": "250000\n",
                "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us": "100000\n",
            },
            2.5,
        ),
        (
            {
                "proc/self/cgroup": "1:cpu:/\n",
                "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1\n",
                "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000\n",
            },
            None,
        ),
        (
            {
                "proc/self/cgroup": "1:cpuset:/\n0::/\n",
                "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "100000\n",
                "sys/fs/cgroup/unified/cpu.max": "300000 100000\n",
            },
            3.0,
        ),
    ],
)
def test_the_quota_is_the_smallest_on_the_way_up(tmp_path: Path, files: dict[str, str], quota: float | None) -> None:
    """Both versions of control groups; none, 'max' and -1 are no limit."""
    assert cgroup_quota(write(tmp_path, files)) == quota


@pytest.mark.parametrize(("quota", "usable"), [(None, 4), (8.0, 4), (2.5, 2), (0.2, 1)])
def test_quota_and_affinity_limit_together(quota: float | None, usable: int) -> None:
    """The smaller one holds, in whole threads, and one is always left."""
    assert CpuAllowance(FOUR, quota).usable == usable


def test_the_affinity_is_that_of_this_process() -> None:
    """As the kernel says."""
    assert CpuAllowance.read().cpus == tuple(sorted(os.sched_getaffinity(0)))


def test_the_smallest_limit_counts(tmp_path: Path) -> None:
    """Of the machine and of each control group around this process; one without a limit has none."""
    assert free_mb(tmp_path) is None
    write(tmp_path, {"proc/meminfo": "MemTotal: 9000000 kB\nMemAvailable: 4000000 kB\n"})
    assert free_mb(tmp_path) == 4096
    group = write(tmp_path, {"proc/self/cgroup": "0::/outer/inner\n"}) / "sys/fs/cgroup/outer"
    write(group, {"inner/memory.max": "max\n", "inner/memory.current": "1\n"})
    assert free_mb(tmp_path) == 4096
    write(group, {"memory.max": "1000000000\n", "memory.current": "400000000\n"})
    assert free_mb(tmp_path) == 600


def test_this_machine_says_something() -> None:
    """Or nothing, where there is no /proc."""
    left = free_mb()
    assert left is None or left > 0
