"""``edge-worker bench``: sums, processes in turn, agreement, what the tables and the plot show."""

from __future__ import annotations

import io
import json
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from rich.console import Console

from edge_worker.cli import main
from edge_worker.config import load
from edge_worker.m2fp.directory import open_directory
from edge_worker.tools.bench import report
from edge_worker.tools.bench.agreement import compare
from edge_worker.tools.bench.comparison import Grid, with_reference
from edge_worker.tools.bench.machine import cpu_flags
from edge_worker.tools.bench.plot import plot
from edge_worker.tools.bench.setup import Setup
from edge_worker.tools.bench.statistics import Summary, by_stage, paired_ratio
from edge_worker.tools.bench.variants import Variant, measure

# A variant that answers as the real ones do, with the milliseconds that its settings name, one a frame.
_CHILD = """
import json, sys
settings = json.loads(sys.stdin.readline())
print(json.dumps(settings["loaded"]), flush=True)
for ms, _ in zip(settings["ms"], sys.stdin):
    answer = {"wall_ms": ms + 1, "stages_ms": {"inference": ms}, "peak_mb": 10 * ms, "threads": 2, "persons": 0}
    print(json.dumps(answer), flush=True)
"""


def variant(name: str, *ms: float, loaded: dict[str, Any] | None = None) -> Variant:
    loaded = loaded or {"load_s": 0.5, "model": {"engine": name, "precision": "f32"}}
    return Variant(name, (sys.executable, "-c", _CHILD), {}, {"ms": ms, "loaded": loaded})


def test_summary_is_robust() -> None:
    """One slow frame moves neither the median nor the best."""
    assert Summary.of([2.0, 1.0, 3.0, 100.0, 2.0]) == Summary(median=2.0, low=2.0, high=3.0, best=1.0, count=5)
    assert Summary.of([4.0]) == Summary(4.0, 4.0, 4.0, 4.0, 1)


def test_total_is_summed_frame_by_frame() -> None:
    """The median of the totals, not the total of the medians."""
    summed = by_stage([{"a": 1.0, "b": 9.0}, {"a": 9.0, "b": 1.0}, {"a": 2.0, "b": 2.0}])
    assert summed["total"].median == 10.0
    assert summed["a"].median == summed["b"].median == 2.0


def test_ratio_is_taken_turn_by_turn() -> None:
    """A turn in which the machine was slow for both does not change the ratio."""
    assert paired_ratio([20.0, 200.0, 22.0], [10.0, 100.0, 11.0]) == 2.0


def test_variants_run_in_turn() -> None:
    """The first frame is told apart; memory is the most that was seen; each variant has its own figures."""
    slow, fast = measure([variant("slow", 50.0, 9.0, 8.0), variant("fast", 5.0, 2.0, 1.0)], [_any_file()], 2)
    assert (slow.first_ms, slow.walls_ms, slow.peak_mb) == (51.0, [10.0, 9.0], 500.0)
    assert fast.frames == [{"inference": 2.0}, {"inference": 1.0}]
    assert fast.summary()["stages_ms"]["inference"]["median"] == 1.5


def _any_file() -> Path:
    return Path(__file__)


def test_one_variant_that_fails_stops_no_other() -> None:
    """What cannot be loaded says why, and the others are measured."""
    broken = variant("broken", loaded={"error": "precision bf16 is not offered"})
    failed, measured = measure([broken, variant("good", 3.0, 2.0)], [_any_file()], 1)
    assert failed.error == "broken: precision bf16 is not offered"
    assert failed.summary()["wall_ms"] is None
    assert measured.walls_ms == [3.0]


def answer(file: Path, label_map: np.ndarray, masks: np.ndarray, classes: list[int], logits: float) -> Path:
    class_logits = np.full((2, 3), logits, np.float32)
    instances: dict[str, Any] = {"classes": classes, "scores": [0.9, 0.4], "masks": np.packbits(masks, axis=-1)}
    np.savez(file, class_logits=class_logits, mask_logits=class_logits, label_map=label_map, **instances)
    return file


def test_agreement(tmp_path: Path) -> None:
    """Pixels, largest logit difference, and the overlaps: of what was found, and of all candidates."""
    masks = np.zeros((2, 4, 10), np.bool_)
    masks[0, :, :4] = masks[1, :, 4:8] = True
    reference = answer(tmp_path / "a.npz", np.zeros((4, 10), np.uint8), masks, [1, 2], 0.0)
    moved = masks.copy()
    moved[0, :, 2:4] = False
    other_map = np.zeros((4, 10), np.uint8)
    other_map[0, 0] = 1
    found = compare(answer(tmp_path / "b.npz", other_map, moved, [1, 3], 0.25), reference)
    assert found["pixels"] == 39 / 40
    assert found["class_logits"] == found["mask_logits"] == 0.25
    assert found["instance_iou"] == 0.5
    assert found["candidate_iou"] == (0.5 + 0.0) / 2


def test_cpu_flags() -> None:
    """Those that matter, of either architecture; the first processor speaks for all."""
    assert cpu_flags("processor : 0\nflags\t\t: fpu avx2 fma amx_bf16\n") == ["avx2", "fma", "amx_bf16"]
    assert cpu_flags("Features : fp asimd bf16\n") == ["asimd", "bf16"]
    assert cpu_flags("") == []


def findings() -> dict[str, Any]:
    measured = measure([variant("openvino f32", 50.0, 40.0, 42.0), variant("other", 9.0, 8.0, 8.0)], [_any_file()], 2)
    variants = [one.summary() for one in measured]
    machine = {
        "architecture": "x86_64",
        "processors": 2,
        "quota": None,
        "memory_gb": 8.0,
        "flags": [],
        "load": 0.1,
        "kernels": [],
    }
    return {"machine": machine, "against": None, "variants": variants}


def test_report() -> None:
    """The table holds the medians, and everything can be written as JSON."""
    found = findings()
    out = io.StringIO()
    report.show(found, Console(file=out, width=200))
    assert "42 (42–42)" in out.getvalue()
    assert json.loads(json.dumps(found)) == found


def test_plot(tmp_path: Path) -> None:
    """A bar for each variant, as long as its frame takes."""
    file = tmp_path / "bench.png"
    plot(findings()["variants"], file)
    image = np.asarray(Image.open(file).convert("RGB"))
    bars = (image == (33, 113, 181)).all(axis=-1).sum(axis=1)
    assert bars.max() == pytest.approx(960, abs=2)
    assert bars[bars > 50].min() == pytest.approx(960 * 8 / 41, abs=2)


@pytest.mark.parametrize("wrong", [("--size", "big"), ("--variants", "openvino"), ("--threads", "0")])
def test_usage(wrong: tuple[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    """A wrong option is told with an example of a right one."""
    with pytest.raises(SystemExit) as raised:
        main(["bench", *wrong])
    assert raised.value.code == 2
    assert "such as" in capsys.readouterr().err


def test_the_published_pipeline_must_be_there(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Without it, --against modelscope says how to get it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert main(["bench", "--model", "builtin:seeded", "--against", "modelscope"]) == 1


def test_bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On the small model: every stage, memory, first frame; f32 agrees with itself to the last bit."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    file = tmp_path / "bench.json"
    options = ["--size", "160x90", "--turns", "1", "--threads", "1", "--json", str(file)]
    variants = ["--variants", "openvino:f32,openvino:f32"]
    assert main(["bench", "--model", "builtin:seeded", *variants, *options]) == 0
    _, second = json.loads(file.read_text())["variants"]
    assert set(second["stages_ms"]) >= {"decode", "preprocess", "inference", "postprocess", "encode", "total"}
    assert second["threads"] == 1
    assert 50 < second["peak_mb"] < 2000
    assert second["agreement"]["pixels"] == 1.0
    assert second["agreement"]["class_logits"] == 0.0


def test_against_torch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A checkpoint's network is measured in PyTorch in the same turns; the answers and their agreement are told."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    file = tmp_path / "bench.json"
    checkpoint = Path(__file__).parents[2] / "golden" / "tiny-multi"
    options = ["--size", "160x90", "--turns", "1", "--threads", "1", "--json", str(file)]
    assert (
        main(["bench", "--model", str(checkpoint), "--variants", "openvino:f32", "--against", "torch", *options]) == 0
    )
    ours, torch = json.loads(file.read_text())["variants"]
    assert (ours["model"]["engine"], torch["model"]["engine"]) == ("openvino", "torch")
    assert ours["ratio"] > 0
    assert torch["ratio"] == 1.0
    assert torch["agreement"]["class_logits"] <= 5e-3
    assert torch["agreement"]["pixels"] >= 0.9995


def test_against_another_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Under each instruction set, both are measured in each variant, and set against each other in the same."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr("edge_worker.tools.bench.variants.held_to", lambda isa: {"ONEDNN_MAX_CPU_ISA": isa.upper()})
    file, other = tmp_path / "bench.json", tmp_path / "other"
    shutil.copytree(open_directory("builtin:seeded").path, other)
    options = ["--size", "160x90", "--turns", "1", "--threads", "1", "--json", str(file)]
    command = ["bench", "--model", "builtin:seeded", "--against", str(other), "--variants", "openvino:f32"]
    assert main([*command, "--isa", "avx2,amx", *options]) == 0
    variants = json.loads(file.read_text())["variants"]
    names = [
        f"openvino f32, 1 thread, {isa}, {model}" for model in ("builtin:seeded", other) for isa in ("avx2", "amx")
    ]
    assert [one["variant"] for one in variants] == names
    walls = [one["wall_ms"]["median"] for one in variants]
    assert [one["ratio"] for one in variants] == [walls[2] / walls[0], walls[3] / walls[1], 1.0, 1.0]
    assert ["agreement" in one for one in variants] == [False, True, False, False]


def test_a_reference_is_held_to_each_instruction_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every variant is set against the reference that is held as it is."""
    monkeypatch.setattr("edge_worker.tools.bench.variants.held_to", lambda isa: {"LIMIT": isa})
    checkpoint = Path(__file__).parents[2] / "golden" / "tiny-multi"
    setup = Setup(load(None, {"EDGE_WORKER__MQTT__HOST": "localhost"}), str(checkpoint), (), (160, 90), tmp_path)
    grid = Grid(("avx2", "amx"), (1, 2), (("openvino", "f32"),))
    compared = with_reference(setup, "torch", grid)
    limits = [one.variant.environment["LIMIT"] for one in compared]
    assert limits == ["avx2", "avx2", "amx", "amx", "avx2", "amx"]
    assert [limits[one.ratio_to] for one in compared] == limits
    assert [one.ratio_to for one in compared] == [4, 4, 5, 5, 4, 5]


def test_against_what_is_no_model(capsys: pytest.CaptureFixture[str]) -> None:
    """A word that is neither a reference nor a model is told apart from --model's."""
    assert main(["bench", "--model", "builtin:seeded", "--against", "modelscop"]) == 1
    assert "--against modelscop" in capsys.readouterr().err
