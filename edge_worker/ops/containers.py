"""Whether this process runs in a container, where `localhost` is the container itself."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

_MARKS: Final = (".dockerenv", "run/.containerenv")
"""Files that Docker and Podman put into each container."""

_CGROUPS: Final = ("docker", "kubepods", "containerd", "libpod", "lxc")
"""Words in the path of a container's control group; cgroup v2 hides the path inside a container."""


def in_container(environ: Mapping[str, str] = os.environ, root: Path = Path("/")) -> bool:
    """Return whether there are signs of a common container runtime."""
    if "KUBERNETES_SERVICE_HOST" in environ or any((root / mark).exists() for mark in _MARKS):
        return True
    try:
        groups = (root / "proc/1/cgroup").read_text(errors="replace")
    except OSError:
        return False
    return any(word in groups for word in _CGROUPS)
