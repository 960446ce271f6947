"""Containers are recognised by the marks of their runtimes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from edge_worker.ops.containers import in_container

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("environ", "file", "content", "expected"),
    [
        ({}, "proc/1/cgroup", "0::/init.scope\n", False),
        ({}, "proc/1/cgroup", "11:memory:/docker/0f3a\n0::/\n", True),
        ({}, "proc/1/cgroup", "0::/kubepods.slice/kubepods-pod1.slice\n", True),
        ({}, ".dockerenv", "", True),
        ({}, "run/.containerenv", "", True),
        ({"KUBERNETES_SERVICE_HOST": "10.0.0.1"}, "etc/hostname", "", True),
        ({}, "etc/hostname", "", False),
    ],
)
def test_a_container_is_known_by_its_marks(
    tmp_path: Path,
    environ: dict[str, str],
    file: str,
    content: str,
    expected: bool,  # noqa: FBT001 - a parameter
) -> None:
    """Of Docker, Podman and Kubernetes; a machine without any is none."""
    (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / file).write_text(content)
    assert in_container(environ, tmp_path) is expected
