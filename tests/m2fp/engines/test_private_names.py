"""Names of OpenVINO that are not public may go with any release: they are known, bounded and still there."""

from __future__ import annotations

import ast
import importlib
import tomllib
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[3]


def private_names() -> list[tuple[str, str, str]]:
    """File, module and name of every import of the package from a module of OpenVINO with an underscore."""
    return [
        (str(file.relative_to(ROOT)), str(node.module), alias.name)
        for file in sorted((ROOT / "edge_worker").rglob("*.py"))
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("openvino")
        for alias in node.names
        if any(part.startswith("_") for part in (*str(node.module).split("."), alias.name))
    ]


@pytest.mark.parametrize(("file", "module", "name"), private_names())
def test_private_names_are_there(file: str, module: str, name: str) -> None:
    """The OpenVINO that is installed has each private name that the package uses."""
    openvino = pytest.importorskip("openvino")
    try:
        found = hasattr(importlib.import_module(module), name)
    except ImportError:
        found = False
    assert found, (
        f"OpenVINO {openvino.get_version()} has no {module}.{name} any more, which {file} uses: "
        "replace it there, or lower the upper bound of openvino in pyproject.toml"
    )


def test_private_settings_are_there() -> None:
    """The OpenVINO that is installed knows the private settings of the engine."""
    openvino = pytest.importorskip("openvino")
    from edge_worker.m2fp.engines.openvino import _F32_SETTINGS  # noqa: PLC0415 - not without OpenVINO

    value = openvino.opset13.parameter([1], np.float32)
    openvino.Core().compile_model(openvino.Model([openvino.opset13.abs(value)], [value]), "CPU", _F32_SETTINGS)


def test_openvino_has_an_upper_bound() -> None:
    """As long as private names are used, pyproject.toml admits no OpenVINO newer than those that were tried."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    (openvino,) = (one for one in project["dependencies"] if one.startswith("openvino"))
    assert "<" in openvino or not private_names(), f"{openvino}: no upper bound, and these are used: {private_names()}"
