"""The command: which variants and sweeps are measured, in which order."""

from __future__ import annotations

import os
import sys
import tempfile
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

from edge_worker.errors import EdgeWorkerError
from edge_worker.inference.types import ModelSettings
from edge_worker.m2fp.directory import is_quantised, open_directory
from edge_worker.ops.cpus import CpuAllowance
from edge_worker.ops.directories import cache_directory
from edge_worker.ops.threads import ThreadPlan
from edge_worker.tools.bench import models, outputs, report, roofline, sweeps
from edge_worker.tools.bench.batches import batches
from edge_worker.tools.bench.cached import seen_before
from edge_worker.tools.bench.machine import machine
from edge_worker.tools.bench.statistics import paired_ratio
from edge_worker.tools.bench.variants import Measured, Variant, measure

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edge_worker.config import Config

# Where `make reference` puts the environment of the published pipeline.
_REFERENCE_PYTHON = Path(".venv-reference/bin/python")


@dataclass(frozen=True, slots=True)
class BenchOptions:
    """What to measure.

    Attributes:
        model: ``builtin:NAME``, a directory or :data:`models.SEEDED`; None: the configuration's.
        paths: images; without any a drawn frame of *size* (width, height).
        variants: ``(engine, precision)`` to compare, the first of which is the reference for agreement.
        threads: of one inference, each tried with every variant; empty: what the configuration says.
        against: ``torch`` or ``modelscope``, measured in the same turns; None: neither.
        turns: rounds in which every variant parses one frame.
        sweeps: of ``candidates``, ``sizes``, ``kernels``, ``processes``, ``batches`` and ``cache``.
        roofline: whether to measure the machine's matrix and copy rates.
        json, plot: files to write, in folders that are made if need be.
    """

    model: str | None
    paths: tuple[Path, ...]
    size: tuple[int, int]
    variants: tuple[tuple[str, str], ...]
    threads: tuple[int, ...]
    against: str | None
    turns: int
    sweeps: tuple[str, ...]
    roofline: bool
    json: Path | None
    plot: Path | None


def run(config: Config, options: BenchOptions) -> int:
    """Measure, print, write; 1 where no variant could run.

    Raises:
        EdgeWorkerError: a file could not be written, the model cannot be used, there are no images, or the reference
            is not installed.
    """
    outputs.check(options.json, options.plot)
    console = Console(highlight=False)
    with tempfile.TemporaryDirectory(prefix="edge-worker-bench-") as scratch:
        findings = Bench(config, options, Path(scratch)).findings()
    report.show(findings, console)
    outputs.write(findings, options.json, options.plot)
    return int(all(variant["error"] for variant in findings["variants"]))


class Bench:
    """One run of the command."""

    def __init__(self, config: Config, options: BenchOptions, scratch: Path) -> None:
        """Find or make the model and the frames; *scratch* is a folder for files that are not kept."""
        self._config, self._options, self._scratch = config, options, scratch
        self._model = options.model or config.model.path
        self._cache = cache_directory(os.environ) or scratch
        self._exported = models.exported(self._model, self._cache)
        from edge_worker.tools.bench.frames import frames  # noqa: PLC0415 - numeric libraries, once they are needed

        self._frames = frames(options.paths, options.size, scratch)
        if self._model == models.SEEDED and any(is_quantised(precision) for _, precision in options.variants):
            self._exported = models.quantised(self._exported, self._frames, self._cache)

    def findings(self) -> dict[str, Any]:
        """Measure everything that the options ask for."""
        variants = self._variants()
        measured = measure(variants, self._frames, self._options.turns, save=self._answer, note=_note)
        found: dict[str, Any] = {"machine": machine(), "model": self._model, "frames": [f.name for f in self._frames]}
        found["variants"] = [self._summary(index, measured) for index in range(len(measured))]
        if self._options.roofline:
            _note("roofline")
            found["roofline"] = self._roofline(found["variants"])
        found["sweeps"] = {name: self._sweep(name) for name in self._options.sweeps}
        return found

    def _variants(self) -> list[Variant]:
        variants = [
            self._variant(engine, precision, threads)
            for threads in self._options.threads or (None,)
            for engine, precision in self._options.variants
        ]
        if self._options.against == "torch":
            variants.append(self._variant("torch", "f32", None))
        if self._options.against == "modelscope":
            variants.append(self._published())
        return variants

    def _plan(self, threads: int | None) -> ThreadPlan:
        section = self._config.threads
        if threads is not None:
            section = section.model_copy(update={"inference": threads})
        return ThreadPlan.from_config(section, CpuAllowance.read())

    def _variant(self, engine: str, precision: str, threads: int | None) -> Variant:
        plan = self._plan(threads)
        settings = ModelSettings.from_config(self._config, plan, self._cache)
        path = str(self._checkpoint()) if engine == "torch" else self._exported
        settings = replace(settings, model=replace(settings.model, path=path))
        return Variant.of(settings, engine, precision, plan.environment())

    def _checkpoint(self) -> Path:
        found = models.checkpoint(self._model, self._cache)
        if found is None:
            raise EdgeWorkerError(f"{self._model} is no checkpoint: torch and modelscope run only those")
        return found

    def _published(self) -> Variant:
        """The published pipeline in its own environment."""
        if not _REFERENCE_PYTHON.exists():
            raise EdgeWorkerError(
                f"--against modelscope needs {_REFERENCE_PYTHON}: run `make reference` (Python 3.10, 3.4 GB)"
            )
        plan = self._plan(None)
        return Variant(
            name=f"published pipeline, {plan.inference} threads",
            command=(str(_REFERENCE_PYTHON), "-m", "edge_worker.tools.bench.published"),
            environment=plan.environment(),
            settings={"checkpoint": str(self._checkpoint()), "threads": plan.inference},
        )

    def _answer(self, index: int) -> Path:
        return self._scratch / f"answer-{index}.npz"

    def _summary(self, index: int, measured: Sequence[Measured]) -> dict[str, Any]:
        """A variant's figures, its speed against the last one's and its agreement with the first one's answer."""
        one, last = measured[index], measured[-1]
        summary = one.summary()
        if one.walls_ms and last.walls_ms:
            summary["ratio"] = paired_ratio(last.walls_ms, one.walls_ms)
        if index and self._answer(index).exists() and self._answer(0).exists():
            from edge_worker.tools.bench.agreement import compare  # noqa: PLC0415 - numeric libraries

            summary["agreement"] = asdict(compare(self._answer(index), self._answer(0)))
        return summary

    def _roofline(self, variants: Sequence[dict[str, Any]]) -> dict[str, Any]:
        """The floor of each precision that OpenVINO ran in, and how far above it the network was."""
        plan = self._plan(max(self._options.threads, default=None))
        ours = [one for one in variants if one["stages_ms"] and one["model"]["engine"] == "openvino"]
        ours = [one for one in ours if one["threads"] == plan.inference]
        precisions = [one["model"]["precision"] for one in ours]
        shape = sweeps.input_shape(self._exported, self._frames[0], self._config.model.short_side)
        found = roofline.measure(open_directory(self._exported), shape, precisions, plan.inference, plan.environment())
        rows = []
        for one in ours:
            precision, network_ms = one["model"]["precision"], one["stages_ms"]["inference"]["median"]
            floor_ms = found.floor_ms(precision)
            row = {"precision": precision, "floor_ms": floor_ms, "network_ms": network_ms}
            rows.append({**row, "over_floor": network_ms / floor_ms})
        return {**asdict(found), "rows": rows}

    def _sweep(self, name: str) -> list[dict[str, Any]]:
        _note(f"sweep: {name}")
        if name == "candidates":
            threads = self._plan(None).inference
            return sweeps.candidates(self._exported, self._options.size, self._options.turns, threads)
        engine, precision = self._options.variants[-1]
        variant, turns = self._variant(engine, precision, None), self._options.turns
        if name == "sizes":
            return sweeps.sizes(variant, turns, self._scratch)
        if name == "kernels":
            return sweeps.kernels(variant, self._frames[0], turns)
        if name == "cache":
            return seen_before(variant.settings, self._frames[:1], turns, variant.environment)
        if name == "batches":
            return self._batches(precision)
        usable = CpuAllowance.read().usable
        return sweeps.processes(
            lambda threads: self._variant(engine, precision, threads), usable, self._frames[0], self._options.turns
        )

    def _batches(self, precision: str) -> list[dict[str, Any]]:
        plan, directory = self._plan(None), open_directory(self._exported)
        shape = sweeps.input_shape(self._exported, self._frames[0], self._config.model.short_side)
        return batches(
            directory,
            shape,
            precision,
            threads=plan.inference,
            turns=self._options.turns,
            environment=plan.environment(),
        )


def _note(text: str) -> None:
    sys.stderr.write(f"{text}\n")
