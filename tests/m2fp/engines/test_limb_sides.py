"""The second network of a model, in every engine that runs exported models."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from msgspec import structs

pytest.importorskip("torch")

import torch

from edge_worker.m2fp.checksums import sha256_of
from edge_worker.m2fp.directory import open_directory, resolve
from edge_worker.m2fp.engines.base import EngineOptions
from edge_worker.m2fp.engines.choose import Choice, start_engine
from edge_worker.m2fp.engines.trials import Trials
from edge_worker.m2fp.export import write_limb_sides
from edge_worker.m2fp.limb_sides import CHANNELS, CROP, crop, window_around
from edge_worker.m2fp.manifest import LIMB_SIDES_FILE, read_manifest, write_manifest
from edge_worker.m2fp.network.limb_sides import LimbSideNetwork
from edge_worker.m2fp.parser import Parser, load_parser
from edge_worker.m2fp.types import Logits

if TYPE_CHECKING:
    from edge_worker.m2fp.configuration import ModelConfig
    from edge_worker.m2fp.directory import ModelDirectory
    from edge_worker.m2fp.engines.base import Shape
    from edge_worker.m2fp.types import FloatArray

ENGINES = ("openvino", "onnxruntime")
FRAME = np.random.default_rng(0).integers(0, 256, (64, 96, 3), np.uint8)


@pytest.fixture(scope="module")
def network() -> LimbSideNetwork:
    """Random weights."""
    torch.manual_seed(0)
    return LimbSideNetwork().eval()


@pytest.fixture(scope="module")
def model(network: LimbSideNetwork, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of random weights with such a network."""
    directory = Path(shutil.copytree(resolve("builtin:seeded"), tmp_path_factory.mktemp("models") / "two"))
    vouch_for(directory, network)
    return directory


def always(answer: float) -> LimbSideNetwork:
    """A network of that answer."""
    network = LimbSideNetwork().eval()
    last = network.decoder.mask_features
    assert last.bias is not None
    torch.nn.init.zeros_(last.weight)
    torch.nn.init.constant_(last.bias, answer)
    return network


def vouch_for(directory: Path, network: LimbSideNetwork) -> None:
    """Put *network* into a model and its manifest."""
    write_limb_sides(network, directory / LIMB_SIDES_FILE)
    manifest = read_manifest(directory)
    files = manifest.files | {LIMB_SIDES_FILE: sha256_of(directory / LIMB_SIDES_FILE)}
    write_manifest(directory, structs.replace(manifest, files=files))


@pytest.mark.parametrize("engine", ENGINES)
def test_it_answers_as_in_torch(engine: str, model: Path, network: LimbSideNetwork) -> None:
    """In the engine of the first network, in f32."""
    pytest.importorskip(engine)
    choice = start_engine(open_directory(model), engine, EngineOptions("f32", 1, None))
    crops = np.random.default_rng(1).standard_normal((1, CHANNELS, CROP.height, CROP.width)).astype(np.float32)
    assert choice.sides is not None
    with torch.inference_mode():
        wanted = network(torch.from_numpy(crops)).numpy()
    (found,) = choice.sides.run(crops)
    np.testing.assert_allclose(found, wanted, atol=1e-3)
    choice.sides.close()
    choice.engine.close()


class Recorded:
    """Stands for both networks of a model: one person, left of whom is an arm that is called right."""

    def __init__(self, config: ModelConfig) -> None:
        """Keep the names of the calls, and the crops."""
        self.calls: list[str] = []
        self.crops: list[FloatArray] = []
        self._config = config

    def is_compiled(self, shape: Shape) -> bool:
        """Return whether that was asked for."""
        return f"compile {shape}" in self.calls

    def compile(self, shape: Shape) -> None:
        """Note it."""
        self.calls.append(f"compile {shape}")

    def close(self) -> None:
        """Note it."""
        self.calls.append("close")

    def threads(self) -> None:
        """Say nothing."""

    def infer(self, tensor: FloatArray) -> Logits:
        """Answer with an arm in the left half of a person who fills the image."""
        height, width = tensor.shape[2] // 4, tensor.shape[3] // 4
        classes = self._config.classes
        scores = np.full((3, len(classes) + 1), -20, np.float32)
        for row, name in zip(scores, ("Right-arm", "Left-arm", "Human"), strict=True):
            row[classes.index(name)] = 0
        masks = np.full((3, height, width), -5, np.float32)
        masks[0, :, : width // 2] = masks[2] = 5
        return Logits(scores, masks)

    def run(self, tensor: FloatArray) -> list[FloatArray]:
        """Say left."""
        self.crops.append(tensor)
        return [np.full((1, tensor.shape[2] // 4, tensor.shape[3] // 4), 50, np.float32)]


def test_a_parser_uses_compiles_and_closes_both_networks() -> None:
    """The first frame does not wait for the second network, which sees the same image as the first one."""
    model = open_directory("builtin:m2fp-lite")
    first, second = Recorded(model.config), Recorded(model.config)
    parser = Parser(model, Choice(first, "stub", "f32", "", second), 1, short_side=64)
    net_input = parser.preprocess(FRAME)
    assert not parser.is_compiled(net_input)
    parser.compile(net_input)
    assert parser.is_compiled(net_input)
    assert (first.calls, second.calls) == ([f"compile {(64, 96)}"], [f"compile {(CROP.height, CROP.width)}"])
    second.calls.clear()
    assert not parser.is_compiled(net_input)
    labels = parser.parse(FRAME).label_map
    assert set(np.unique(labels)) == {0, model.config.classes.index("Left-arm")}
    person = np.ones((16, 24), np.bool_)
    np.testing.assert_array_equal(second.crops, [crop(net_input.image, person, window_around(person))[None]])
    parser.close()
    assert first.calls[-1] == second.calls[-1] == "close"


@pytest.mark.parametrize("engine", ENGINES)
def test_frames_pass_through_both(engine: str, model: Path) -> None:
    """Of any size."""
    pytest.importorskip(engine)
    parser = load_parser(model, engine, "f32", threads=1, short_side=64)
    for frame in (FRAME, FRAME[:1, :1], FRAME[:2]):
        assert parser.parse(frame).label_map.shape == frame.shape[:2]
    parser.close()


def test_it_stays_in_f32(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the precision of the first one: it takes little time, and the gate is about label maps."""
    made: list[tuple[str, str | None]] = []

    def create(_: ModelDirectory, options: EngineOptions, second: str | None = None) -> Recorded:
        made.append((options.precision, second))
        return Recorded(open_directory(model).config)

    monkeypatch.setattr("edge_worker.m2fp.engines.openvino.create", create)
    monkeypatch.setattr("edge_worker.m2fp.engines.openvino.precisions", lambda: ("f32", "bf16"))
    start_engine(open_directory(model), "openvino", EngineOptions("bf16", 1, None))
    assert made == [("bf16", None), ("f32", LIMB_SIDES_FILE)]


def test_a_trial_runs_it_too(model: Path) -> None:
    """A network of no numbers is not used."""
    broken = Path(shutil.copytree(model, model.parent / "broken"))
    vouch_for(broken, always(float("nan")))
    for directory, problem in ((model, ""), (broken, "it answers with values that are no numbers")):
        trials = Trials(open_directory(directory), EngineOptions("f32", 1, None, trial=(64, 96)), again=True)
        assert trials.of(open_directory(directory), "openvino", "f32").problem == problem


def test_a_model_without_it_has_none() -> None:
    """As those that people export."""
    choice = start_engine(open_directory("builtin:seeded"), "openvino", EngineOptions("f32", 1, None))
    assert choice.sides is None


def test_results_depend_on_it(model: Path) -> None:
    """Results cached by fingerprint are not taken for those without it."""
    with_it, without = (load_parser(one, precision="f32", threads=1) for one in (model, "builtin:seeded"))
    assert with_it.info.sha256 == without.info.sha256
    assert with_it.info.fingerprint != without.info.fingerprint


def test_compiled_networks_of_both_are_cached(model: Path, tmp_path: Path) -> None:
    """In different files; the second start takes them and answers the same."""
    answers = []
    for _ in range(2):
        parser = load_parser(model, "openvino", "f32", threads=1, short_side=64, cache_directory=tmp_path)
        parser.compile(parser.preprocess(FRAME))
        answers.append(parser.parse(FRAME).label_map)
        parser.close()
        assert len(list((tmp_path / "openvino").glob("*.blob"))) == 2
    np.testing.assert_array_equal(answers[0], answers[1])


def test_a_retrained_one_is_compiled_anew(model: Path, tmp_path: Path) -> None:
    """Though the first network is the same."""
    directory = Path(shutil.copytree(model, tmp_path / "model"))
    crops = np.ones((1, CHANNELS, CROP.height, CROP.width), np.float32)
    answers = []
    for bias in (0.0, 1.0):
        vouch_for(directory, always(bias))
        choice = start_engine(open_directory(directory), "openvino", EngineOptions("f32", 1, tmp_path / "cache"))
        assert choice.sides is not None
        answers.append(choice.sides.run(crops)[0].mean())
        choice.sides.close()
    assert answers == pytest.approx([0.0, 1.0])


def test_shapes_of_the_first_network_leave_it_in_the_cache(model: Path, tmp_path: Path) -> None:
    """With one shape in use, its blobs and the second network's have room."""
    options = EngineOptions("f32", 1, tmp_path, shapes=1)
    choice = start_engine(open_directory(model), "openvino", options)
    assert choice.sides is not None
    choice.sides.compile((CROP.height, CROP.width))
    kept = set((tmp_path / "openvino").glob("*.blob"))
    for shape in ((32, 64), (64, 64), (64, 96)):
        choice.engine.compile(shape)
    assert kept <= set((tmp_path / "openvino").glob("*.blob"))
