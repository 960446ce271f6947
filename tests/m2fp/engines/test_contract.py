"""One contract for all engines: the published answer, for both golden checkpoints and every configuration."""

from __future__ import annotations

import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from agreement import assert_same_instances, assert_same_map
from msgspec import structs

from edge_worker.common.errors import CheckpointError, EngineError
from edge_worker.m2fp.directory import open_directory, resolve
from edge_worker.m2fp.engines import choose
from edge_worker.m2fp.engines.base import ShapeCache, is_installed
from edge_worker.m2fp.manifest import ONNX_FILE
from edge_worker.m2fp.parser import Parser, load_parser
from edge_worker.m2fp.preprocess import Geometry, NetInput, normalise
from edge_worker.m2fp.types import Logits

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from checkpoints import Golden

    from edge_worker.m2fp.directory import ModelDirectory

CLASS_TOLERANCE = 1e-3
MASK_TOLERANCE = 5e-3

# Between two engines, of logits about as large as one.
SEEDED_TOLERANCE = 5e-3

# Random masks lie near zero, where rounding decides what a query may attend to: a few queries may come out otherwise.
SEEDED_AGREEMENT = 0.8

# Of reduced precision; seeded weights exaggerate its error. It is measured where it matters: on a trained model.
REDUCED_TOLERANCE = 3

EXPORTED = ("openvino", "onnxruntime")
EXPORTED_VARIANTS = (
    "depth-152-wide-groups",
    "res5-dilated",
    "projected",
    "pre-norm",
    "two-levels",
    "single-odd-canvas",
    "few-classes",
)
REFERENCE_PYTHON = Path(".venv-reference/bin/python").absolute()


@pytest.fixture(params=["torch", *EXPORTED])
def parser(request: pytest.FixtureRequest, golden: Golden, cache: Path) -> Iterator[Parser]:
    """Each engine with each golden checkpoint, in f32."""
    if not is_installed(request.param):
        pytest.skip(f"{request.param} is not installed here")
    loaded = load_parser(golden.directory, request.param, "f32", threads=1, cache_directory=cache)
    yield loaded
    loaded.close()


def published_input(golden: Golden, geometry: Geometry) -> NetInput:
    """The input that the published pipeline made of the frame, instead of ours."""
    image = golden.expected["net_input"].transpose(1, 2, 0).astype(np.uint8)
    return NetInput(image, normalise(image, geometry.padded), geometry)


@pytest.mark.parametrize("start", ["frame", "net_input"])
def test_published_answer(parser: Parser, golden: Golden, start: str) -> None:
    """From the frame and from the published input alike: the published logits, label map and instances."""
    net_input = parser.preprocess(golden.frame)
    if start == "net_input":
        net_input = published_input(golden, net_input.geometry)
    logits = parser.infer(net_input)
    assert_published(logits, golden)
    parsing = parser.postprocess(logits, net_input)
    masks = np.unpackbits(golden.expected["masks_packed"], axis=-1)[..., : golden.frame.shape[1]].astype(bool)
    assert_same_map(parsing.label_map, golden.expected["semantic_argmax"])
    assert_same_instances(parsing, zip(golden.expected["labels"], golden.expected["scores"], masks, strict=True))


def assert_published(logits: Logits, golden: Golden) -> None:
    """They are those of the published pipeline."""
    np.testing.assert_allclose(logits.class_logits, golden.expected["pred_logits"], atol=CLASS_TOLERANCE, rtol=0)
    np.testing.assert_allclose(logits.mask_logits, golden.expected["pred_masks"], atol=MASK_TOLERANCE, rtol=0)


@pytest.mark.reference
@pytest.mark.skipif(not REFERENCE_PYTHON.exists(), reason="needs `make reference`")
@pytest.mark.parametrize("start", ["frame", "net_input"])
def test_published_network_still_answers_so(golden: Golden, start: str, tmp_path: Path) -> None:
    """The engine ``modelscope``, in its own environment: from our input and from the published one."""
    net_input = load_parser(golden.directory, "torch", "f32", threads=1).preprocess(golden.frame)
    if start == "net_input":
        net_input = published_input(golden, net_input.geometry)
    np.save(tmp_path / "tensor.npy", net_input.tensor)
    script = Path(__file__).parent / "published_logits.py"
    subprocess.run([REFERENCE_PYTHON, "-W", "ignore", script, golden.directory, tmp_path], check=True)
    with np.load(tmp_path / "logits.npz") as found:
        assert_published(Logits(found["class_logits"], found["mask_logits"]), golden)


def test_logits_are_the_callers_own(parser: Parser, golden: Golden) -> None:
    """The next frame does not write over the logits of the last."""
    first = parser.infer(parser.preprocess(golden.frame))
    before = first.mask_logits.copy()
    parser.infer(parser.preprocess(golden.frame[::-1].copy()))
    np.testing.assert_array_equal(first.mask_logits, before)


def test_info(parser: Parser, golden: Golden) -> None:
    """A parser says what it runs, in what, and why."""
    assert parser.info.name == golden.directory.name
    assert parser.info.precision == "f32"
    assert f"{parser.info.engine} was asked for" in parser.info.reason
    assert len(parser.info.sha256) == 64
    assert parser.classes == golden.config.classes


@pytest.mark.parametrize("engine", EXPORTED)
@pytest.mark.parametrize("name", EXPORTED_VARIANTS)
def test_engines_agree_on_every_configuration(
    name: str, engine: str, seeded: Callable[[str], Path], cache: Path
) -> None:
    """Whatever the configuration says, the exported network computes what the original does.

    The variants that change the graph; the network's own test runs all.
    """
    original = load_parser(seeded(name), "torch", "f32", threads=1, short_side=96)
    exported = load_parser(seeded(name), engine, "f32", threads=1, short_side=96, cache_directory=cache)
    frame = np.random.default_rng(3).integers(0, 256, (90, 160, 3), np.uint8)
    net_input = original.preprocess(frame)
    expected, found = original.infer(net_input), exported.infer(net_input)
    for ours, theirs in zip(found, expected, strict=True):
        assert (np.abs(ours - theirs) <= SEEDED_TOLERANCE).mean() >= SEEDED_AGREEMENT


@pytest.mark.parametrize("precision", ["bf16", "f16"])
def test_reduced_precision(precision: str, golden: Golden, cache: Path) -> None:
    """A reduced precision that is offered runs and comes near; one that is not is refused with those that are."""
    try:
        reduced = load_parser(golden.directory, "openvino", precision, threads=1, cache_directory=cache)
    except EngineError as error:
        assert "offered: f32" in str(error)  # noqa: PT017  which of the two holds depends on the processor
        return
    assert reduced.info.precision == precision
    logits = reduced.infer(reduced.preprocess(golden.frame))
    difference = np.abs(logits.class_logits - golden.expected["pred_logits"])
    assert 0 < np.median(difference) < REDUCED_TOLERANCE


def _first(model: ModelDirectory, wanted: str, offered: tuple[str, ...]) -> str:
    """Return the precision that is taken if it runs."""
    return choose._precisions(model, wanted, "openvino", offered)[0][0]


class TestChoice:
    """Engine and precision: what auto takes, and what is said when a wish cannot be met."""

    def test_auto_takes_the_fastest_and_f32(self, golden: Golden, cache: Path) -> None:
        """Nothing is known of how this model fares in reduced precision, so none is chosen unasked."""
        info = load_parser(golden.directory, cache_directory=cache).info
        assert (info.engine, info.precision) == ("openvino", "f32")
        assert "fastest" in info.reason

    def test_auto_takes_a_measured_precision(self) -> None:
        """A precision whose agreement the manifest states is taken, where the processor offers it."""
        model = open_directory("builtin:seeded")
        assert model.manifest is not None
        manifest = structs.replace(model.manifest, precisions={"bf16": "99.7 % of pixels"})
        measured = replace(model, manifest=manifest)
        assert _first(measured, "auto", ("f32", "bf16", "f16")) == "bf16"
        assert _first(measured, "auto", ("f32",)) == "f32"
        ((precision, reason),) = choose._precisions(model, "auto", "openvino", ("f32", "bf16"))
        assert precision == "f32"
        assert "none was found to agree" in reason

    def test_int8_is_the_fastest_that_is_offered(self) -> None:
        """Who asks for int8 leaves open what the rest is computed in."""
        model = open_directory("builtin:seeded")
        everything = ("f32", "int8+bf16", "bf16", "int8+f32", "f16")
        assert _first(model, "int8", everything) == "int8+bf16"
        assert _first(model, "int8", ("f32", "int8+f32")) == "int8+f32"
        for exactly in everything:
            assert _first(model, exactly, everything) == exactly

    def test_int8_needs_a_quantised_network(self) -> None:
        """A model without one offers no int8, and the error says how to make it."""
        model = open_directory("builtin:seeded")
        assert choose.runnable(model, ("f32", "int8+bf16", "bf16", "int8+f32")) == ("f32", "bf16")
        with pytest.raises(EngineError, match="export builtin:seeded --precision int8 --calibrate"):
            load_parser("builtin:seeded", "openvino", "int8")

    @pytest.mark.parametrize(
        ("engine", "precision", "said"),
        [
            ("tensorrt", "auto", "known are openvino, onnxruntime, torch, modelscope"),
            ("torch", "auto", "is an exported model"),
            ("onnxruntime", "bf16", "offered: f32"),
            ("openvino", "int4", "precision int4 is not offered"),
        ],
    )
    def test_what_cannot_be_is_explained(self, engine: str, precision: str, said: str) -> None:
        """The error says why, and what can be used instead."""
        with pytest.raises(EngineError, match=said):
            load_parser("builtin:seeded", engine, precision)

    def test_broken_engines_are_named(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """A runtime that is installed and does not load is an error of the engine, not a traceback."""
        monkeypatch.setitem(sys.modules, "edge_worker.m2fp.engines.openvino", None)
        with pytest.raises(EngineError, match="openvino is installed and does not load"):
            load_parser("builtin:seeded", "openvino")

    def test_without_torch_a_checkpoint_says_what_to_run(self, golden: Golden, monkeypatch: pytest.MonkeyPatch) -> None:
        """Where torch is missing, the way from a checkpoint to an exported model is told."""
        monkeypatch.setattr(choose, "is_installed", lambda *modules: "torch" not in modules)
        with pytest.raises(EngineError, match="edge-worker model export"):
            load_parser(golden.directory, "openvino")
        with pytest.raises(EngineError, match="no engine can run this model"):
            load_parser(golden.directory)


def test_exported_models_run_without_torch() -> None:
    """The default install has no torch: parsing with a built-in model never imports it."""
    code = (
        "import sys; sys.modules['torch'] = None\n"
        "import numpy as np; from edge_worker import load_parser\n"
        "parsing = load_parser('builtin:seeded', threads=1, short_side=64).parse(np.zeros((40, 50, 3), np.uint8))\n"
        "assert parsing.label_map.shape == (40, 50)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


class TestBlobs:
    """Compiled networks on disk: found again, never fatal."""

    def test_second_start_loads_what_the_first_compiled(self, tmp_path: Path) -> None:
        """The blob is there after the first inference, and loading it gives the same answer."""
        frame = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
        answers = []
        for _ in range(2):
            parser = load_parser("builtin:seeded", "openvino", "f32", 1, short_side=64, cache_directory=tmp_path)
            answers.append(parser.infer(parser.preprocess(frame)).mask_logits)
        blobs = list((tmp_path / "openvino").iterdir())
        assert [blob.suffix for blob in blobs] == [".blob"]
        np.testing.assert_array_equal(answers[0], answers[1])

    def test_an_unwritable_directory_costs_only_time(self, tmp_path: Path) -> None:
        """Where the cache cannot be written the model runs without it."""
        file = tmp_path / "a file, not a directory"
        file.touch()
        parser = load_parser("builtin:seeded", "openvino", "f32", 1, short_side=64, cache_directory=file)
        assert parser.parse(np.zeros((64, 64, 3), np.uint8)).label_map.shape == (64, 64)


@pytest.mark.parametrize("engine", EXPORTED)
def test_as_many_shapes_stay_as_asked_for(engine: str, tmp_path: Path) -> None:
    """In memory, and twice as many on disk."""
    parser = load_parser("builtin:seeded", engine, "f32", 1, short_side=32, cache_directory=tmp_path, shapes=2)
    sizes = [(32, 32), (32, 64), (32, 96), (64, 32), (96, 32)]
    inputs = [parser.preprocess(np.zeros((*size, 3), np.uint8)) for size in sizes]
    for one in inputs:
        parser.compile(one)
    assert [parser.is_compiled(one) for one in inputs] == [False, False, False, True, True]
    assert len(list(tmp_path.glob("openvino/*.blob"))) == (4 if engine == "openvino" else 0)
    parser.close()


@pytest.mark.parametrize("engine", EXPORTED)
def test_a_model_that_is_altered_under_a_running_engine_is_compiled_for_no_other_shape(
    engine: str, tmp_path: Path
) -> None:
    """What is compiled of it would answer wrongly, also after the model is whole again."""
    model = Path(shutil.copytree(resolve("builtin:seeded"), tmp_path / "model"))
    parser = load_parser(model, engine, "f32", 1, short_side=32, cache_directory=tmp_path / "cache")
    small, wide = (parser.preprocess(np.zeros((32, width, 3), np.uint8)) for width in (32, 64))
    parser.infer(small)
    whole = (model / ONNX_FILE).read_bytes()
    (model / ONNX_FILE).write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    with pytest.raises(CheckpointError, match="altered"):
        parser.infer(wide)
    parser.infer(small)
    (model / ONNX_FILE).write_bytes(whole)
    parser.infer(wide)
    parser.close()


def test_few_shapes_are_kept() -> None:
    """A camera of every size cannot fill the memory: the shape used longest ago is dropped."""
    made: list[tuple[int, int]] = []

    def compile_shape(shape: tuple[int, int]) -> str:
        made.append(shape)
        return f"network {len(made)}"

    cache: ShapeCache[str] = ShapeCache(compile_shape, limit=2)
    for side in (1, 2, 1, 3, 1, 2):
        cache.get((side, side))
    assert made == [(1, 1), (2, 2), (3, 3), (2, 2)]
