"""An export is a directory that verifies, runs at any size, and can be told apart from one that was cut off."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import onnx
import onnxruntime
import pytest

from edge_worker.common.errors import CheckpointError
from edge_worker.m2fp import export as export_module
from edge_worker.m2fp.checksums import sha256_of
from edge_worker.m2fp.directory import open_directory
from edge_worker.m2fp.export import export
from edge_worker.m2fp.parser import load_parser

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory, seeded: Callable[[str], Path]) -> Path:
    """An export of a seeded checkpoint."""
    out = tmp_path_factory.mktemp("export") / "new" / "place"
    export(seeded("few-classes"), out, name="few", warning="only a test")
    return out


def test_export_is_whole(exported: Path, seeded: Callable[[str], Path]) -> None:
    """Graph, configuration and manifest; the manifest names the weights they came from."""
    assert sorted(file.name for file in exported.iterdir()) == ["configuration.json", "manifest.json", "model.onnx"]
    model = open_directory(exported)
    assert (model.name, model.warning) == ("few", "only a test")
    assert model.manifest is not None
    assert model.manifest.source_sha256 == sha256_of(seeded("few-classes") / "pytorch_model.pt")


def test_graph_is_valid_and_of_any_size(exported: Path) -> None:
    """ONNX's own checker passes it; height and width are free, batch and channels are not."""
    graph = onnx.load(exported / "model.onnx")
    onnx.checker.check_model(graph, full_check=True)
    (image,) = graph.graph.input
    sizes = [size.dim_param or size.dim_value for size in image.type.tensor_type.shape.dim]
    assert sizes == [1, 3, "height", "width"]
    assert [output.name for output in graph.graph.output] == ["class_logits", "mask_logits"]


@pytest.mark.parametrize("engine", ["openvino", "onnxruntime"])
def test_sizes_other_than_the_traced(exported: Path, seeded: Callable[[str], Path], engine: str) -> None:
    """Upright, lying, smallest: each size gives what PyTorch gives."""
    original = load_parser(seeded("few-classes"), "torch", "f32", 1)
    runs = load_parser(exported, engine, "f32", 1)
    random = np.random.default_rng(1)
    for height, width in ((32, 64), (160, 64), (64, 224)):
        frame = random.integers(0, 256, (height, width, 3), np.uint8)
        expected = original.infer(original.preprocess(frame, short_side=min(height, width)))
        found = runs.infer(runs.preprocess(frame, short_side=min(height, width)))
        np.testing.assert_allclose(found.class_logits, expected.class_logits, atol=5e-3)
        np.testing.assert_allclose(found.mask_logits, expected.mask_logits, atol=5e-3)


def test_an_interrupted_export_is_no_model(
    tmp_path: Path, seeded: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The manifest comes last, and an old one goes first: what was cut off cannot be loaded."""
    export(seeded("few-classes"), tmp_path)

    def fail(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(export_module, "write_onnx", fail)
    with pytest.raises(KeyboardInterrupt):
        export(seeded("few-classes"), tmp_path)
    with pytest.raises(CheckpointError, match="no model here"):
        open_directory(tmp_path)


def test_export_of_an_export_is_refused(exported: Path, tmp_path: Path) -> None:
    """Only checkpoints can be exported; the error names what is missing."""
    with pytest.raises(CheckpointError, match=r"pytorch_model\.pt"):
        export(exported, tmp_path)


@pytest.mark.parametrize("engine", ["openvino", "onnxruntime"])
def test_weights_in_half_precision(exported: Path, seeded: Callable[[str], Path], tmp_path: Path, engine: str) -> None:
    """They are stored in two bytes each, and every engine computes in f32 with the rounded weights."""
    export(seeded("few-classes"), tmp_path, half_weights=True)
    graph = onnx.load(tmp_path / "model.onnx")
    onnx.checker.check_model(graph, full_check=True)
    floats = (onnx.TensorProto.FLOAT, onnx.TensorProto.FLOAT16)
    large = [one for one in graph.graph.initializer if np.prod(one.dims) >= 64 and one.data_type in floats]
    assert {one.data_type for one in large} == {onnx.TensorProto.FLOAT16}
    parser = load_parser(tmp_path, engine, "f32", 1)
    tensor = parser.preprocess(np.random.default_rng(1).integers(0, 256, (96, 64, 3), np.uint8), short_side=64)
    rounded = onnx.load(exported / "model.onnx")
    for weights in rounded.graph.initializer:
        values = onnx.numpy_helper.to_array(weights)
        if values.dtype == np.float32 and values.size >= 64:
            weights.CopyFrom(onnx.numpy_helper.from_array(values.astype(np.float16).astype(np.float32), weights.name))
    session = onnxruntime.InferenceSession(rounded.SerializeToString())
    _, expected = session.run(None, {"image": tensor.tensor})
    np.testing.assert_allclose(parser.infer(tensor).mask_logits, expected[0], atol=5e-3)
