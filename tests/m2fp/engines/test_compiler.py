"""Networks compiled by another process: its memory goes with it, and so does it with who asked."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import numpy as np
import pytest

from edge_worker.m2fp.directory import resolve
from edge_worker.m2fp.engines import compiler
from edge_worker.m2fp.engines.base import EngineOptions
from edge_worker.m2fp.engines.openvino import OpenVinoEngine
from edge_worker.m2fp.manifest import ONNX_FILE
from edge_worker.m2fp.parser import load_parser

if TYPE_CHECKING:
    from pathlib import Path

SHAPE = (64, 64)
TENSOR = np.random.default_rng(0).standard_normal((1, 3, *SHAPE)).astype(np.float32)


def test_large_networks_are_compiled_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The process that runs the network never compiles it, and its answers are those of one that does."""
    expected = load_parser("builtin:seeded", "openvino", "f32", 1)._engine
    wanted = expected.infer(TENSOR)
    monkeypatch.setattr(compiler, "_SMALL_BYTES", 0)
    monkeypatch.setattr(OpenVinoEngine, "_compile", lambda *_: pytest.fail("compiled here"))
    engine = load_parser("builtin:seeded", "openvino", "f32", 1, cache_directory=tmp_path)._engine
    for found, same in zip(engine.infer(TENSOR), wanted, strict=True):
        np.testing.assert_array_equal(found, same)


def test_without_the_other_process_it_is_done_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no process can be started, the model runs all the same, and what was compiled is kept."""
    monkeypatch.setattr(compiler, "_SMALL_BYTES", 0)
    monkeypatch.setattr(sys, "executable", "/nowhere")
    load_parser("builtin:seeded", "openvino", "f32", 1, cache_directory=tmp_path)._engine.compile(SHAPE)
    assert len(list((tmp_path / "openvino").glob("*.blob"))) == 1


def test_size_decides(tmp_path: Path) -> None:
    """The shipped light model is large enough, the tests' model is not; weights in a second file count."""
    assert compiler.is_worth_it(resolve("builtin:m2fp-lite") / ONNX_FILE)
    assert not compiler.is_worth_it(resolve("builtin:seeded") / ONNX_FILE)
    (tmp_path / "model.xml").touch()
    with (tmp_path / "model.bin").open("wb") as weights:
        weights.truncate(8_000_000)
    assert compiler.is_worth_it(tmp_path / "model.xml")


def test_it_ends_with_who_asked() -> None:
    """A compiler whose asker was killed does not go on: its input ends, and so does it."""
    waiting = "import sys, threading; from edge_worker.common import processes; sys.stdin.readline()\n"
    code = f"{waiting}threading.Thread(target=processes.end_with_the_input).start(); threading.Event().wait()"
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE) as process:
        assert process.stdin
        process.stdin.write(b"order\n")
        process.stdin.close()
        assert process.wait(timeout=60) == 1


def test_a_refused_order_is_no_error(tmp_path: Path) -> None:
    """What cannot be compiled apart is left to the caller: nothing is raised, nothing is written."""
    compiler.compile_apart(tmp_path / "no model", EngineOptions("f32", 1, tmp_path), SHAPE)
    assert list(tmp_path.iterdir()) == []
