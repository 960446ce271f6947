"""Quantised networks: what is quantised, what stays, what can be left out again."""

from __future__ import annotations

import logging
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from edge_worker.m2fp.directory import open_directory
from edge_worker.m2fp.manifest import ONNX_FILE

if TYPE_CHECKING:
    from pathlib import Path

    from edge_worker.m2fp.quantisation.quantise import QuantisedNetwork

pytest.importorskip("nncf", reason="needs edge-worker[int8]")
openvino: Any = pytest.importorskip("openvino")

SHAPE = (1, 3, 64, 96)


def tensor(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(SHAPE).astype(np.float32)


@pytest.fixture(scope="module")
def network() -> QuantisedNetwork:
    """The seeded model, quantised by three frames."""
    from edge_worker.m2fp.quantisation.quantise import QuantisedNetwork  # noqa: PLC0415

    return QuantisedNetwork(open_directory("builtin:seeded"), [1, 2, 3], tensor)


def quantised_products(file: Path) -> set[str]:
    """Names of the products whose input is quantised."""
    graph = openvino.Core().read_model(file)
    products = (node for node in graph.get_ordered_ops() if node.get_type_name() in {"Convolution", "MatMul"})
    return {node.get_friendly_name() for node in products if _source(node) == "FakeQuantize"}


def _source(node: Any) -> str:  # noqa: ANN401
    return str(node.input_value(0).get_node().get_type_name())


def test_only_what_may_be_is_quantised(network: QuantisedNetwork, tmp_path: Path) -> None:
    """Backbone, pixel decoder, its feed-forward layers; no attention, no transformer decoder, no head."""
    network.write(tmp_path / "model.xml", without=())
    names = quantised_products(tmp_path / "model.xml")
    assert any("/backbone/" in name for name in names)
    assert any("/linear1/" in name for name in names)
    assert not [name for name in names if "self_attn" in name or "/predictor/" in name or "mask_features" in name]
    assert {group.partition("/")[0] for group in network.groups} == {"backbone", "pixel_decoder"}


def test_weights_are_kept_as_bytes(network: QuantisedNetwork, tmp_path: Path) -> None:
    """What is quantised takes a quarter on disk."""
    network.write(tmp_path / "all.xml", without=())
    network.write(tmp_path / "none.xml", without=network.groups)
    assert (tmp_path / "all.bin").stat().st_size < 0.7 * (tmp_path / "none.bin").stat().st_size


def test_groups_can_be_left_out(network: QuantisedNetwork, tmp_path: Path) -> None:
    """A group that is left out is in floating point again, others are not; leaving out all gives the f32 network."""
    file = tmp_path / "model.xml"
    network.write(file, without=("backbone/stem",))
    names = quantised_products(file)
    assert not [name for name in names if name.startswith("/backbone/stem/")]
    assert [name for name in names if name.startswith("/backbone/res2/")]
    network.write(file, without=network.groups)
    assert quantised_products(file) == set()
    original = open_directory("builtin:seeded").path / ONNX_FILE
    for found, expected in zip(_run(file), _run(original), strict=True):
        np.testing.assert_allclose(found, expected, atol=1e-4)


def _run(file: Path) -> list[np.ndarray]:
    compiled = openvino.Core().compile_model(file, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    return list(compiled([tensor(9)]).values())


def test_nncf_is_silent_and_leaves_the_log_of_others_alone() -> None:
    """Handlers that somebody attached to its logger keep their level, as pytest attaches its own."""
    from edge_worker.m2fp.quantisation.quantise import load_nncf  # noqa: PLC0415

    logger, handler = logging.getLogger("nncf"), logging.NullHandler(logging.INFO)
    logger.addHandler(handler)
    load_nncf()
    logger.removeHandler(handler)
    assert handler.level == logging.INFO
    assert not logger.isEnabledFor(logging.WARNING)


def test_nncf_does_not_report_home() -> None:
    """What a model is quantised for is told to nobody; not asked under pytest, where NNCF is silent anyway."""
    program = (
        "from edge_worker.m2fp.quantisation.quantise import load_nncf; load_nncf()\n"
        "from nncf.telemetry import telemetry; print(type(telemetry).__name__)"
    )
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert done.stdout == "MagicMock\n"
