"""The container image, as far as it can be judged without building it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

ROOT = Path(__file__).parents[2]
PIN = re.compile(r"^([a-z0-9-]+)==([^ ]+) \\$", re.MULTILINE)


def locked() -> dict[str, Version]:
    text = (ROOT / "deploy" / "requirements.txt").read_text(encoding="utf-8")
    return {name: Version(version) for name, version in PIN.findall(text)}


def test_the_lock_serves_what_the_package_asks_for() -> None:
    """Every dependency of the package is pinned, to a version it accepts; `make lock` was not forgotten."""
    toml: Any = pytest.importorskip("tomllib", reason="Python 3.10 reads no TOML")
    project = toml.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    pins = locked()
    wanted = [Requirement(line) for line in project["dependencies"]]
    assert [str(one) for one in wanted if one.name not in pins or pins[one.name] not in one.specifier] == []


def test_the_lock_is_for_processors_alone() -> None:
    """No torch and nothing of CUDA gets into the image."""
    assert [name for name in locked() if name.startswith(("torch", "nvidia", "triton", "cuda"))] == []


def test_every_pin_has_hashes() -> None:
    """Pip refuses what is not byte for byte the file that was locked."""
    text = (ROOT / "deploy" / "requirements.txt").read_text(encoding="utf-8")
    entries = re.split(r"^(?=[a-z0-9-]+==)", text, flags=re.MULTILINE)[1:]
    assert len(entries) == len(locked())
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
