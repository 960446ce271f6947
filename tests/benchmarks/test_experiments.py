"""``python -m benchmarks``: each experiment on the small model, at a small size."""

from __future__ import annotations

import json
import os
import shutil
from typing import TYPE_CHECKING, Any

import pytest

from benchmarks import memory
from benchmarks.__main__ import main

if TYPE_CHECKING:
    from pathlib import Path

QUICK = ("kernels", "candidates", "batches", "cache")


def test_each_experiment_gives_its_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whole frames with all kernels, without each and without any; batches; a frame that was seen before."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    file = tmp_path / "found.json"
    options = ["--model", "builtin:seeded", "--variant", "openvino:f32", "--size", "160x90", "--turns", "2"]
    assert main([*QUICK, *options, "--threads", "1", "--json", str(file)]) == 0
    found: dict[str, Any] = json.loads(file.read_text())
    kernels = found["kernels"]
    assert [row["without"] for row in kernels] == [
        "nothing",
        "mask kernel",
        "deformable",
        "winograd (of f32)",
        "preprocess",
        "runs",
        "all",
    ]
    assert kernels[0]["ratio"] == 1
    assert all(row["frame"] > row["inference"] > 0 for row in kernels)
    assert [row["frames in a batch"] for row in found["batches"]] == [1, 2, 4]
    assert all(row["processor time of a frame, ms"]["count"] == 2 for row in found["batches"])
    (row,) = found["cache"]
    assert row["answer, kB"] > 0
    assert row["from the cache, ms"]["best"] < row["parsed, ms"]
    assert len(found["candidates"]) == 6
    assert "kernels: builtin:seeded, openvino:f32" in capsys.readouterr().out


@pytest.mark.mosquitto
@pytest.mark.parametrize(("name", "column"), [("gateway", "added at the median, ms"), ("page", "first load, kB")])
def test_the_gateway_is_measured(name: str, column: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Behind a real broker and worker; its page in a real browser."""
    if name == "page" and shutil.which("chromedriver") is None and os.environ.get("CI") != "true":
        pytest.skip("chromium and chromedriver are not installed")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    file = tmp_path / "found.json"
    options = ["--model", "builtin:seeded", "--variant", "openvino:f32", "--size", "160x90", "--turns", "2"]
    assert main([name, *options, "--json", str(file)]) == 0
    rows = json.loads(file.read_text())[name]
    assert all(row[column] for row in rows)
    assert len(rows) == (2 if name == "page" else 1)


def test_processes_share_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The share of what two have in common is less than the whole of it."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(memory, "COUNTS", (2,))
    file = tmp_path / "found.json"
    options = ["--model", "builtin:seeded", "--variant", "openvino:f32", "--size", "160x90", "--json", str(file)]
    assert main(["memory", *options]) == 0
    (row,) = json.loads(file.read_text())["memory"]
    assert row["peak, MB"] >= row["resident, MB"] > row["with its share, MB"] > row["its own, MB"] > 0


def test_what_cannot_be_measured_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A model that is not there ends it with its name."""
    assert main(["kernels", "--model", str(tmp_path / "none")]) == 1
    assert str(tmp_path / "none") in capsys.readouterr().err
