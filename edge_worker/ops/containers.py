"""Whether this process runs in a container: there `localhost` is the container itself."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

_MARKS: Final = (".dockerenv", "run/.containerenv")
"""Files that Docker and Podman put into each container."""

_CGROUPS: Final = ("docker", "kubepods", "containerd", "libpod", "lxc")
"""Words in the path of a container's control group; under cgroup v2 it is hidden from within."""


def in_container(environ: Mapping[str, str] = os.environ, root: Path = Path("/")) -> bool:
    """Tell by the marks of the usual runtimes; False where there is none."""
    if "KUBERNETES_SERVICE_HOST" in environ or any((root / mark).exists() for mark in _MARKS):
        return True
    try:
        groups = (root / "proc/1/cgroup").read_text(errors="replace")
    except OSError:
        return False
    return any(word in groups for word in _CGROUPS)
