"""The control groups of this process, which may limit its CPU time and its memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edge_worker.common.files import text_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def control_groups(root: Path, controller: str) -> Iterator[Path]:
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
