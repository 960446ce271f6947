"""``edge-worker bench``: sums, processes in turn, agreement, what the tables and the plot show."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from outputs import encoded_result
from PIL import Image
from replies import PNG
from rich.console import Console

from edge_worker.cli import main
from edge_worker.imaging.palette import Palette
from edge_worker.m2fp.directory import open_directory
from edge_worker.m2fp.parser import ModelInfo
from edge_worker.m2fp.postprocess import class_probabilities
from edge_worker.m2fp.postprocess.multi_human import Rules
from edge_worker.m2fp.preprocess import Geometry
from edge_worker.m2fp.types import Box, Size
from edge_worker.tools.bench import report
from edge_worker.tools.bench.agreement import compare
from edge_worker.tools.bench.batches import batches
from edge_worker.tools.bench.cached import Place
from edge_worker.tools.bench.candidates import blobs, sweep
from edge_worker.tools.bench.machine import cpu_flags
from edge_worker.tools.bench.plot import plot
from edge_worker.tools.bench.roofline import Roofline
from edge_worker.tools.bench.statistics import Summary, by_stage, paired_ratio
from edge_worker.tools.bench.variants import Variant, measure

if TYPE_CHECKING:
    from edge_worker.inference.types import EncodedResult, OutputRequest

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
    assert found.pixels == 39 / 40
    assert found.class_logits == found.mask_logits == 0.25
    assert found.instance_iou == 0.5
    assert found.candidate_iou == (0.5 + 0.0) / 2


@pytest.mark.parametrize("wide", [False, True])
@pytest.mark.parametrize("count", [0, 5, 20, 100])
def test_as_many_candidates_as_asked(count: int, wide: bool) -> None:  # noqa: FBT001
    """The made-up answer has that many candidates that survive, each of one query."""
    config = open_directory("builtin:seeded").config
    geometry = Geometry(Size(320, 180), Size(320, 192), Box(0, 0, 320, 180))
    logits = blobs(count, config, geometry, wide=wide)
    assert logits.mask_logits.shape == (100, 48, 80)
    assert len(Rules(config).candidates(class_probabilities(logits.class_logits))) == count


def test_sweep_of_candidates() -> None:
    """A row for each number of candidates and kind of masks, with the time by threads and of the map."""
    config = open_directory("builtin:seeded").config
    rows = sweep((0, 3), (160, 90), config, Palette.for_classes(config.classes), turns=1, threads=2)
    assert [(row["candidates"], row["masks"]) for row in rows] == [
        (count, masks) for masks in ("small", "all over the frame") for count in (0, 3)
    ]
    for row in rows:
        assert all(row[f"postprocess ms, threads: {threads}"].median > 0 for threads in (1, 2))
        assert row["png ms"].count == 1


def test_batches_are_compared_with_one_frame(monkeypatch: pytest.MonkeyPatch) -> None:
    """Time is by frame, and the ratio to one frame is taken turn by turn; a slow turn changes nothing."""
    times = {
        "1": {"wall_ms": [10.0, 100.0], "processor_ms": [20.0, 200.0]},
        "2": {"wall_ms": [16.0, 160.0], "processor_ms": [36.0, 360.0]},
        "4": {"wall_ms": [40.0, 400.0], "processor_ms": [80.0, 800.0]},
    }
    monkeypatch.setattr("edge_worker.tools.bench.batches.measured_apart", lambda *_: times)
    rows = batches(open_directory("builtin:seeded"), (64, 96), "f32", threads=1, turns=2, environment={})
    assert [row["frames a second, ratio to one"] for row in rows] == [1.0, 1.25, 1.0]
    assert [row["processor time, ratio to one"] for row in rows] == [1.0, 0.9, 1.0]
    assert rows[1]["a frame, ms"]["median"] == 44.0


def test_sweep_of_kernels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On the small model: whole frames with all kernels, without each and without any; the first is the reference."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    file = tmp_path / "bench.json"
    options = ["--size", "160x90", "--turns", "1", "--threads", "1", "--no-roofline", "--json", str(file)]
    chosen = ["--variants", "openvino:f32", "--sweep", "kernels"]
    assert main(["bench", "--model", "builtin:seeded", *chosen, *options]) == 0
    rows = json.loads(file.read_text())["sweeps"]["kernels"]
    assert [row["without"] for row in rows] == ["nothing", "mask kernel", "deformable", "winograd (of f32)", "all"]
    assert rows[0]["ratio"] == 1
    assert all(row["frame"] > row["inference"] > 0 for row in rows)


def test_sweeps_of_batches_and_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On the small model: a row for each batch; a frame seen before is answered without being parsed."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    file = tmp_path / "bench.json"
    options = ["--size", "160x90", "--turns", "2", "--threads", "1", "--no-roofline", "--json", str(file)]
    chosen = ["--variants", "openvino:f32", "--sweep", "batches", "--sweep", "cache"]
    assert main(["bench", "--model", "builtin:seeded", *chosen, *options]) == 0
    sweeps = json.loads(file.read_text())["sweeps"]
    assert [row["frames in a batch"] for row in sweeps["batches"]] == [1, 2, 4]
    assert all(row["processor time of a frame, ms"]["count"] == 2 for row in sweeps["batches"])
    (row,) = sweeps["cache"]
    assert row["answer, kB"] > 0
    assert row["from the cache, ms"]["best"] < row["parsed, ms"]


def test_a_frame_seen_before_is_answered_in_full() -> None:
    """The same messages leave, but for the times in them, and the model is asked once."""
    asked: list[bytes] = []

    class Counted:
        """A pipeline that says one thing."""

        parser = SimpleNamespace(info=ModelInfo("m", "0" * 64, "openvino", "f32", "", 1, ""))

        def run(self, payload: bytes, request: OutputRequest) -> EncodedResult:
            """Count."""
            del request
            asked.append(payload)
            body = {"image": {"width": 2, "height": 2}, "labels": [], "persons": [], "unassigned": []}
            return encoded_result(2, 2, PNG, None, body, {})

    place = Place(Counted())  # type: ignore[arg-type] # what a worker uses of a pipeline
    first, again, other = (place.answer(payload) for payload in (b"a", b"a", b"b"))
    place.stop()
    assert asked == [b"a", b"b"]
    assert first.size == pytest.approx(again.size, abs=40)
    assert min(first.size, other.size) > len(PNG)


def test_cpu_flags() -> None:
    """Those that matter, of either architecture; the first processor speaks for all."""
    assert cpu_flags("processor : 0\nflags\t\t: fpu avx2 fma amx_bf16\n") == ["avx2", "fma", "amx_bf16"]
    assert cpu_flags("Features : fp asimd bf16\n") == ["asimd", "bf16"]
    assert cpu_flags("") == []


def test_floor() -> None:
    """A multiply-add is two operations; each counts at the rate of what it is computed in."""
    work = {"f32": {"f32": 200_000_000_000}, "int8+bf16": {"int8": 100_000_000_000, "bf16": 50_000_000_000}}
    roofline = Roofline({"f32": 4e11, "bf16": 1e12, "int8": 2e12}, 1e10, work, 2)
    assert roofline.floor_ms("f32") == 1000.0
    assert roofline.floor_ms("int8+bf16") == 200.0


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
    rows = [{"precision": "int8+bf16", "floor_ms": 7.5, "network_ms": 9.0, "over_floor": 1.2}]
    work = {"int8+bf16": {"int8": 3_000_000_000, "bf16": 1_000_000_000}}
    roofline = {"flops": {"int8": 2e12, "bf16": 1e12}, "copy_bytes": 1e10, "multiply_adds": work, "threads": 2}
    sweeps = {"sizes": [{"frame": "640×360", "total": 3.25}]}
    return {"machine": machine, "variants": variants, "roofline": {**roofline, "rows": rows}, "sweeps": sweeps}


def test_report() -> None:
    """The tables hold the medians, and everything can be written as JSON."""
    found = findings()
    out = io.StringIO()
    report.show(found, Console(file=out, width=200))
    assert "42 (42–42)" in out.getvalue()
    assert "3.25" in out.getvalue()
    assert "int8 2000 GFLOP/s, bf16 1000 GFLOP/s" in out.getvalue()
    assert "int8 3, bf16 1" in out.getvalue()
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
    options = ["--size", "160x90", "--turns", "1", "--threads", "1", "--no-roofline", "--json", str(file)]
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
    options = ["--size", "160x90", "--turns", "1", "--threads", "1", "--no-roofline", "--json", str(file)]
    assert (
        main(["bench", "--model", str(checkpoint), "--variants", "openvino:f32", "--against", "torch", *options]) == 0
    )
    ours, torch = json.loads(file.read_text())["variants"]
    assert (ours["model"]["engine"], torch["model"]["engine"]) == ("openvino", "torch")
    assert ours["ratio"] > 0
    assert torch["ratio"] == 1.0
    assert torch["agreement"]["class_logits"] <= 5e-3
    assert torch["agreement"]["pixels"] >= 0.9995
