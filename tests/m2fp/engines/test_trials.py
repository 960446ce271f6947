"""Engines that die or crawl while they are tried are told apart, passed over and remembered."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest
from damages import DAMAGES
from msgspec import structs

from edge_worker.common.errors import EngineError
from edge_worker.m2fp.directory import open_directory
from edge_worker.m2fp.engines import choose, compiler, fingerprint, trials
from edge_worker.m2fp.engines.base import EngineOptions
from edge_worker.m2fp.engines.trials import Trials

if TYPE_CHECKING:
    from collections.abc import Callable

    from edge_worker.m2fp.directory import ModelDirectory
    from edge_worker.m2fp.engines.choose import Choice

    Start = Callable[..., Choice]

SHAPE = (64, 64)
ORDER = ["openvino", "openvino bf16", "openvino f32", "onnxruntime", "onnxruntime f32"]


@pytest.fixture
def model() -> ModelDirectory:
    """A small model that was found to be faithful in bf16."""
    found = open_directory("builtin:seeded")
    return replace(found, manifest=structs.replace(found.exported(), precisions={"bf16": "99.9 %"}))


@pytest.fixture
def start(model: ModelDirectory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Start:
    """Chooses an engine; trials are processes that do what the script says, and nothing is loaded."""

    def offer(name: str) -> SimpleNamespace:
        precisions = ("f32", "bf16") if name == "openvino" else ("f32",)
        return SimpleNamespace(precisions=lambda: precisions, create=lambda _model, _options: name)

    monkeypatch.setattr(choose, "_module", offer)
    monkeypatch.setattr(compiler, "ENGINE_PROCESS", "scripted_trial")
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent))
    monkeypatch.setenv("TRIAL_LOG", str(tmp_path / "tried"))

    def begin(
        script: dict[str, object], engine: str = "auto", precision: str = "auto", cache: Path | None = tmp_path
    ) -> Choice:
        monkeypatch.setenv("TRIAL_SCRIPT", json.dumps(script))
        (tmp_path / "tried").unlink(missing_ok=True)
        return choose.start_engine(model, engine, EngineOptions(precision, 1, cache, trial=SHAPE))

    return begin


def _tried(directory: Path) -> list[str]:
    file = directory / "tried"
    return file.read_text().splitlines() if file.exists() else []


def test_what_runs_is_tried_once(start: Start, tmp_path: Path) -> None:
    """The fastest is taken, no other is tried, and the next start tries none."""
    for tried in (ORDER[:2], []):
        choice = start({})
        assert (choice.name, choice.precision) == ("openvino", "bf16")
        assert "passed over" not in choice.reason
        assert _tried(tmp_path) == tried


@pytest.mark.parametrize("death", ["SIGILL", "SIGSEGV", "SIGABRT", "it answers with values that are no numbers", "a b"])
def test_one_that_dies_is_passed_over_and_remembered(
    start: Start, tmp_path: Path, caplog: pytest.LogCaptureFixture, death: str
) -> None:
    """In favour of the next best; the reason, which stands on the model card, and the log say how it ended."""
    for tried in (ORDER[:3], []):
        choice = start({"openvino bf16": death.replace("a b", "a\n  b\n")})
        assert (choice.name, choice.precision) == ("openvino", "f32")
        assert "passed over: openvino in bf16 " in choice.reason
        assert death in choice.reason
        assert _tried(tmp_path) == tried
    assert [death in record.getMessage() for record in caplog.records] == [True]


def test_an_engine_that_dies_while_it_is_loaded_is_passed_over(start: Start, tmp_path: Path) -> None:
    """It is never imported by the process that would have died of it."""
    choice = start({"openvino": "SIGILL"})
    assert (choice.name, choice.precision) == ("onnxruntime", "f32")
    assert "passed over: engine openvino ended by SIGILL" in choice.reason
    assert _tried(tmp_path) == ["openvino", "onnxruntime", "onnxruntime f32"]


def test_one_that_crawls_is_passed_over(start: Start, tmp_path: Path) -> None:
    """Slower by far than f32, a reduced precision is emulated; not so one that is only slow."""
    assert start({"openvino bf16": 2.9, "openvino f32": 1.0}).precision == "bf16"
    (tmp_path / "engines.json").unlink()
    for _ in range(2):
        choice = start({"openvino bf16": 13.9, "openvino f32": 3.0})
        assert choice.precision == "f32"
        assert "openvino in bf16 takes 13.9 s where f32 takes 3.0 s" in choice.reason


def test_one_that_may_have_been_killed_gets_a_second_chance(start: Start, tmp_path: Path) -> None:
    """SIGKILL may be somebody's: the next start tries again, the one after that remembers."""
    for tried in (ORDER[:3], ORDER[1:2], []):
        assert start({"openvino bf16": "SIGKILL"}).precision == "f32"
        assert _tried(tmp_path) == tried


def test_one_that_does_not_answer_is_given_up(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its process is ended."""
    monkeypatch.setattr(trials, "LIMIT_S", 1.0)
    choice = start({"openvino bf16": "hang"})
    assert choice.precision == "f32"
    assert "openvino in bf16 gave no answer within 1 s" in choice.reason


def test_what_was_asked_for_is_not_replaced(start: Start, tmp_path: Path) -> None:
    """Its death is an error that names what to change; the next start tries it again."""
    for _ in range(2):
        with pytest.raises(EngineError, match="openvino in bf16 ended by SIGILL when it was tried") as caught:
            start({"openvino bf16": "SIGILL"}, "openvino", "bf16")
        assert caught.value.option == "precision"
        assert _tried(tmp_path)[-1:] == ["openvino bf16"]
    assert start({}, "openvino", "bf16").precision == "bf16"


def test_where_nothing_else_runs_the_doubtful_is_used(start: Start) -> None:
    """It may have been a moment without memory; one that is out of doubt is an error."""
    assert start({"openvino bf16": "SIGKILL"}, "openvino", "bf16").precision == "bf16"
    with pytest.raises(EngineError, match="SIGKILL"):
        start({"openvino bf16": "SIGKILL"}, "openvino", "bf16")


@pytest.mark.parametrize(
    ("engine", "held"), [("openvino", ", held to AVX2 by ONEDNN_MAX_CPU_ISA"), ("onnxruntime", "")]
)
def test_a_limit_of_instructions_is_named(
    start: Start, monkeypatch: pytest.MonkeyPatch, engine: str, held: str
) -> None:
    """It is the reason why an engine offers less than the processor could; not to an engine that ignores it."""
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", "avx2")
    with pytest.raises(EngineError, match=f"by {engine} on this processor{held}; offered: f32"):
        start({}, engine, "f16")


def test_a_trial_that_ended_the_worker_counts(start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Out of memory may end all of a container: after two starts that did not come back it is passed over."""
    with monkeypatch.context() as patched:
        patched.setattr(trials, "_run", lambda *_: pytest.exit("killed"))
        for _ in range(2):
            with pytest.raises(pytest.exit.Exception):
                start({})
    choice = start({})
    assert choice.name == "onnxruntime"
    assert "engine openvino did not come back when it was tried" in choice.reason
    assert _tried(tmp_path) == ["onnxruntime", "onnxruntime f32"]


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_memory_is_not_believed(
    start: Start, tmp_path: Path, caplog: pytest.LogCaptureFixture, damage: str
) -> None:
    """Said once; engines whose entries are lost are tried anew."""
    start({})
    (tmp_path / "other").write_text('{"schema": "edge-worker.quarantine/2", "payloads": {}}')
    DAMAGES[damage](tmp_path / "engines.json", tmp_path / "other")
    assert start({}).precision == "bf16"
    assert _tried(tmp_path)
    assert [str(tmp_path / "engines.json") in record.getMessage() for record in caplog.records] == [True]
    start({})
    assert _tried(tmp_path) == []


def test_without_a_cache_each_start_tries(start: Start, tmp_path: Path) -> None:
    """Nothing can be remembered, and nothing ends this process all the same."""
    (tmp_path / "a file").touch()
    for cache in (None, tmp_path / "a file"):
        assert start({"openvino bf16": "SIGILL"}, cache=cache).precision == "f32"
        assert _tried(tmp_path) == ORDER[:3]


def test_processes_that_start_at_once_try_once(start: Start, model: ModelDirectory, tmp_path: Path) -> None:
    """The others wait for the first, and share what it found."""
    start({}, "onnxruntime", cache=None)
    options = EngineOptions("auto", 1, tmp_path / "cache", trial=SHAPE)
    with ThreadPoolExecutor(4) as threads:
        choices = list(threads.map(lambda _: choose.start_engine(model, "auto", options), range(4)))
    assert {choice.precision for choice in choices} == {"bf16"}
    assert _tried(tmp_path) == ["onnxruntime", "onnxruntime f32", *ORDER[:2]]


def test_another_version_processor_or_model_is_tried_anew(
    model: ModelDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The key has all that the outcome depends on."""
    keys = {trials._key(model, "openvino", "bf16"), trials._key(model, "openvino", "f32")}
    keys.add(trials._key(open_directory("builtin:m2fp-lite"), "openvino", "bf16"))
    for module, name, value in (
        (fingerprint, "_version", "9"),
        (fingerprint, "source_digest", "new kernels"),
        (trials, "_processor", ("flags: none",)),
    ):
        with monkeypatch.context() as patched:
            patched.setattr(module, name, lambda *_, value=value: value)
            keys.add(trials._key(model, "openvino", "bf16"))
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", "AVX2")
    keys.add(trials._key(model, "openvino", "bf16"))
    assert len(keys) == 7


def test_real_engines_are_tried(model: ModelDirectory, tmp_path: Path) -> None:
    """What was compiled is kept for the process that runs it; what the library says of a bad model is the problem."""
    real = Trials(model, EngineOptions("auto", 1, tmp_path, trial=SHAPE), again=False)
    outcome = real.of(model, "openvino", "f32")
    assert outcome.is_sound
    assert outcome.seconds > 0
    assert len(list((tmp_path / "openvino").glob("*.blob"))) == 1
    nowhere = replace(model, path=tmp_path)
    assert "no model here" in real.of(nowhere, "onnxruntime", "f32").problem
