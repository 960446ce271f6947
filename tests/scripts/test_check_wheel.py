"""The check of a built wheel, on archives made for the test."""

from __future__ import annotations

import runpy
import zipfile
from pathlib import Path

SCRIPT = runpy.run_path(str(Path(__file__).parents[2] / "scripts" / "check_wheel.py"))
NAMES = ("deformable", "gemm", "masks", "preprocess", "runs", "winograd")
KERNELS = [f"edge_worker/m2fp/kernels/_{name}.cpython-311.so" for name in NAMES]
MODEL = "edge_worker/models/m2fp-lite/model.onnx"


def _wheel(folder: Path, names: set[str]) -> Path:
    wheel = folder / "edge_worker.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for name in names:
            archive.writestr(name, "")
    return wheel


def test_a_whole_wheel_passes(tmp_path: Path) -> None:
    """Package, kernels and metadata are what belongs into it."""
    names = {*SCRIPT["expected"](), *KERNELS, "edge_worker-0.1.0.dist-info/METADATA"}
    assert SCRIPT["problems"](_wheel(tmp_path, names)) == []


def test_what_is_missing_or_too_much_is_named(tmp_path: Path) -> None:
    """A model left behind, a kernel that did not compile, tests that came along."""
    names = {*SCRIPT["expected"](), *KERNELS[1:], "tests/conftest.py"} - {MODEL}
    assert SCRIPT["problems"](_wheel(tmp_path, names)) == [
        f"is missing: {MODEL}",
        "should not be there: tests/conftest.py",
        "kernel is missing: edge_worker/m2fp/kernels/_deformable",
    ]
    assert "kernel" not in " ".join(SCRIPT["problems"](_wheel(tmp_path, names), kernels=False)[2:])
