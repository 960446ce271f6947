"""The container images, as far as they can be judged without building them."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).parents[2]
OPTIONAL = {"rich", "pygments", "setuptools", "pysocks", "attrs", "sniffio"}
"""What the gateway's dependencies use where it happens to be installed."""
PIN = re.compile(r"^([a-z0-9-]+)==([^ ]+) \\$", re.MULTILINE)


LOCKS = ("requirements.txt", "gateway.txt")


def locked(file: str = "requirements.txt") -> dict[str, Version]:
    text = (ROOT / "deploy" / file).read_text(encoding="utf-8")
    return {name: Version(version) for name, version in PIN.findall(text)}


def project() -> Any:  # noqa: ANN401 - as it stands in the file
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def test_the_lock_serves_what_the_package_asks_for() -> None:
    """Every dependency of the package is pinned, to a version it accepts; `make lock` was not forgotten."""
    pins = locked()
    wanted = [Requirement(line) for line in project()["dependencies"]]
    assert [str(one) for one in wanted if one.name not in pins or pins[one.name] not in one.specifier] == []


def test_the_gateways_lock_agrees_with_the_workers_and_the_package() -> None:
    """What both need is of one version; the extra `web` is in it whole."""
    pins, ours = locked("gateway.txt"), locked()
    wanted = [Requirement(line) for line in [*project()["dependencies"], *project()["optional-dependencies"]["web"]]]
    assert {name: pins[name] for name in pins.keys() & ours} == {name: ours[name] for name in pins.keys() & ours}
    assert [str(one) for one in wanted if one.name in pins and pins[one.name] not in one.specifier] == []
    assert {Requirement(line).name for line in project()["optional-dependencies"]["web"]} <= set(pins)


def test_the_gateway_runs_with_what_its_image_has(tmp_path: Path) -> None:
    """Everything that it imports is in its lock; numpy, OpenCV and OpenVINO are not."""
    pytest.importorskip("fastapi", reason="the extra `web` is not installed")
    (tmp_path / "gateway.yaml").write_text("mqtt: {host: localhost}\n")
    code = (
        "import sys; from edge_worker import cli; from edge_worker.gateway import server;"
        f"cli.main(['gateway', '-c', {str(tmp_path / 'gateway.yaml')!r}]); print(*sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    imported = {name.partition(".")[0] for name in done.stdout.split()} - sys.stdlib_module_names
    owners = packages_distributions()
    needed = {canonicalize_name(owners[name][0]) for name in imported if name in owners}
    assert needed - set(locked("gateway.txt")) - OPTIONAL == {"edge-worker"}


def test_the_locks_are_for_processors_alone() -> None:
    """No torch and nothing of CUDA gets into an image."""
    pins = {name for lock in LOCKS for name in locked(lock)}
    assert [name for name in pins if name.startswith(("torch", "nvidia", "triton", "cuda"))] == []


@pytest.mark.parametrize("lock", LOCKS)
def test_every_pin_has_hashes(lock: str) -> None:
    """Pip refuses what is not byte for byte the file that was locked."""
    text = (ROOT / "deploy" / lock).read_text(encoding="utf-8")
    entries = re.split(r"^(?=[a-z0-9-]+==)", text, flags=re.MULTILINE)[1:]
    assert len(entries) == len(locked(lock))
    assert [entry.split()[0] for entry in entries if "--hash=sha256:" not in entry] == []


def test_what_is_copied_exists_and_reaches_the_builder() -> None:
    """Each file that the Dockerfile copies is there, and .dockerignore lets it through."""
    dockerfile = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    copied = [
        source for line in re.findall(r"^COPY (?!--from)(.+) \S+$", dockerfile, re.MULTILINE) for source in line.split()
    ]
    allowed = re.findall(r"^!(\S+)$", (ROOT / ".dockerignore").read_text(encoding="utf-8"), re.MULTILINE)
    assert copied
    assert [source for source in copied if not (ROOT / source).exists() or source not in allowed] == []


def test_the_stages_are_those_that_are_asked_for() -> None:
    """The worker is what is built without a target; compose file and release name stages; none runs as root."""
    dockerfile = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    stages = re.findall(r"^FROM (\S+) AS (\S+)$", dockerfile, re.MULTILINE)
    names = [name for _, name in stages]
    compose = (ROOT / "deploy" / "compose" / "compose.yaml").read_text(encoding="utf-8")
    assert names[-1] == "edge-worker"
    release = (ROOT / ".github" / "workflows" / "release.yaml").read_text(encoding="utf-8")
    assert set(re.findall(r"build: \{.*target: ([\w-]+)\}", compose)) == {"edge-worker", "gateway"} <= set(names)
    assert set(re.findall(r"image: .*target: ([\w-]+)\}", release)) == {"edge-worker", "gateway"}
    assert [base for base, name in stages if name in {"edge-worker", "gateway"}] == ["runtime", "runtime"]
    runtime = dockerfile.partition("AS runtime")[2]
    assert "USER 10001:10001" in runtime.partition("FROM")[0]
    assert runtime.count("HEALTHCHECK") == 2
    assert "root" not in re.findall(r"^USER (\S+)", dockerfile, re.MULTILINE)
    assert set(re.findall(r"--from=(\S+)", dockerfile)) <= set(names)
