"""What a model process does with its settings: loading, warming up, describing the model."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import asdict
from pathlib import Path

import pytest
from images import encoded, photo
from msgspec import structs

from edge_worker.config import Config, LimitsConfig, ModelConfig, MqttConfig, ThreadsConfig
from edge_worker.inference.handler import PipelineHandler, SizeMemory
from edge_worker.inference.types import ModelSettings, OutputRequest
from edge_worker.m2fp.checksums import sha256_of
from edge_worker.m2fp.directory import resolve
from edge_worker.m2fp.manifest import read_manifest, write_manifest
from edge_worker.ops.allowance import CpuAllowance
from edge_worker.ops.threads import ThreadPlan

MAX_PIXELS = 1_000_000
MODEL = ModelConfig(path="builtin:seeded", short_side=64)


def settings(
    cache_directory: Path | None, model: ModelConfig = MODEL, colour: str = "#123456", threads: int = 1
) -> ModelSettings:
    config = Config(
        mqtt=MqttConfig(host="localhost"),
        model=model,
        threads=ThreadsConfig(inference=threads),
        limits=LimitsConfig(max_pixels=MAX_PIXELS),
        palette={"Hat": colour},
    )
    return ModelSettings.from_config(
        config, ThreadPlan.from_config(config.threads, CpuAllowance.read()), cache_directory
    )


def test_it_is_warm_and_can_say_what_it_runs(tmp_path: Path) -> None:
    """After warming up a frame of the size seen last needs no compiler; the card has the facts of model and threads."""
    (tmp_path / "frame_size.json").write_text('{"width": 90, "height": 60}')
    handler = PipelineHandler(settings(tmp_path))
    phases: list[str] = []
    assert 0 < handler.warm_up(phases.append) < 10
    assert phases == ["compile", "warm_up"]
    phases.clear()
    handler.run(encoded(photo(90, 60), "PNG"), OutputRequest(), phases.append)
    assert "compile" not in phases
    card = handler.card()
    assert (card.name, card.engine, card.precision) == ("seeded", "openvino", "f32")
    assert (card.classes[1], card.colors[1]) == ("Hat", "#123456")
    assert len(card.classes) == len(card.colors) == 21
    assert "mean nothing" in card.warning
    assert card.threads["requested"]["inference"] == card.threads["effective"]["inference"] == 1


def test_the_fingerprint_covers_what_changes_a_result(tmp_path: Path) -> None:
    """Engine, input size, palette, and every file of the model; not how fast it runs."""
    copy = Path(shutil.copytree(resolve("builtin:seeded"), tmp_path / "model"))
    configuration = (copy / "configuration.json").read_text(encoding="utf-8")
    changed = configuration.replace('"parsing_ins_score_thr": 0.3', '"parsing_ins_score_thr": 0.75')
    (copy / "configuration.json").write_text(changed, encoding="utf-8")
    manifest = read_manifest(copy)
    sums = {**manifest.files, "configuration.json": sha256_of(copy / "configuration.json")}
    write_manifest(copy, structs.replace(manifest, files=sums))
    found = [
        PipelineHandler(one).card().fingerprint
        for one in (
            settings(None),
            settings(None, threads=2),
            settings(None, colour="#123457"),
            settings(None, ModelConfig(path="builtin:seeded", short_side=96)),
            settings(None, ModelConfig(path="builtin:seeded", short_side=64, engine="onnxruntime")),
            settings(None, ModelConfig(path=str(copy), short_side=64)),
        )
    ]
    assert found[0] == found[1]
    assert len(set(found)) == len(found) - 1


def test_the_size_of_the_first_frame_is_kept_for_the_next_process(tmp_path: Path) -> None:
    """Not that of the later ones; without a directory, or before any frame, the usual size is used."""
    memory = SizeMemory(str(tmp_path / "new"), MAX_PIXELS)
    assert memory.recall() == (1280, 720)
    memory.learn(320, 240)
    memory.learn(640, 480)
    assert SizeMemory(str(tmp_path / "new"), MAX_PIXELS).recall() == (320, 240)
    nowhere = SizeMemory(None, MAX_PIXELS)
    nowhere.learn(320, 240)
    assert nowhere.recall() == (1280, 720)


@pytest.mark.parametrize(
    "size", [{}, [], {"width": 0, "height": 5}, {"width": -1, "height": -1}, {"width": 10**6, "height": 10**6}]
)
def test_a_size_that_makes_no_sense_is_ignored(tmp_path: Path, size: object) -> None:
    """Nor is a damaged file an error."""
    (tmp_path / "frame_size.json").write_text(json.dumps(size))
    assert SizeMemory(str(tmp_path), MAX_PIXELS).recall() == (1280, 720)
    for damaged in ("{", '{"width": 1e999, "height": 1}', "[" * 100_000):
        (tmp_path / "frame_size.json").write_text(damaged)
        assert SizeMemory(str(tmp_path), MAX_PIXELS).recall() == (1280, 720)


@pytest.mark.timeout(60)
def test_a_pipe_in_the_place_of_the_size_is_not_waited_for(tmp_path: Path) -> None:
    """Else whoever may write to the cache could keep every process after it from loading."""
    usual = SizeMemory(str(tmp_path), 10_000_000).recall()
    os.mkfifo(tmp_path / "frame_size.json")
    assert SizeMemory(str(tmp_path), 10_000_000).recall() == usual


def test_settings_survive_the_way_into_the_process(tmp_path: Path) -> None:
    """As JSON and back they are the same, so that the process loads what the worker was configured for."""
    sent = settings(tmp_path)
    assert ModelSettings.from_wire(json.loads(json.dumps(asdict(sent)))) == sent
