"""The command: selects the variants, measures them and reports."""

from __future__ import annotations

import sys
import tempfile
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

from edge_worker.common.errors import EdgeWorkerError
from edge_worker.tools.bench import outputs, report
from edge_worker.tools.bench.comparison import REFERENCES, Compared, Grid, among_themselves, with_model, with_reference
from edge_worker.tools.bench.machine import machine
from edge_worker.tools.bench.setup import Setup
from edge_worker.tools.bench.statistics import paired_ratio
from edge_worker.tools.bench.variants import Measured, measure

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edge_worker.config import Config


@dataclass(frozen=True, slots=True)
class BenchOptions:
    """What to measure.

    Attributes:
        model: as in :class:`Setup`, like *paths* and *size*.
        paths: images and folders.
        size: size of the rendered frame.
        variants: ``(engine, precision)`` pairs to compare; the first is the reference for agreement.
        threads: threads per inference, each combined with every variant; empty: the configuration's.
        isas: instruction sets to limit everything to, each combined with every variant; empty: no limit.
        against: one of :data:`REFERENCES` or another model, measured in the same turns, also limited to each of
            *isas*; None: nothing.
        turns: rounds in which every variant parses one frame.
        json, plot: files to write; their folders are created if missing.
    """

    model: str | None
    paths: Sequence[Path]
    size: tuple[int, int]
    variants: tuple[tuple[str, str], ...]
    threads: tuple[int, ...]
    isas: tuple[str, ...]
    against: str | None
    turns: int
    json: Path | None
    plot: Path | None


def run(config: Config, options: BenchOptions) -> int:
    """Measure, print, write; returns 1 if no variant could run.

    Raises:
        EdgeWorkerError: a file could not be written, the model cannot be used, there are no images, or the reference
            is not installed.
    """
    outputs.check(options.json, options.plot)
    with tempfile.TemporaryDirectory(prefix="edge-worker-bench-") as scratch:
        findings = measure_all(config, options, Path(scratch))
    report.show(findings, Console(highlight=False))
    outputs.write(findings, options.json, options.plot)
    return int(all(variant["error"] for variant in findings["variants"]))


def measure_all(config: Config, options: BenchOptions, scratch: Path) -> dict[str, Any]:
    """Measure the variants in turn; *scratch* is a folder for temporary files."""
    setup = Setup(config, options.model, options.paths, options.size, scratch)
    compared = _compared(config, setup, options, scratch)
    variants = [one.variant for one in compared]
    measured = measure(variants, setup.frames, max(1, options.turns), save=partial(_answer, scratch), note=_note)
    return {
        "machine": machine(),
        "model": setup.model,
        "against": options.against,
        "frames": [frame.name for frame in setup.frames],
        "variants": [_summary(index, one, measured, scratch) for index, one in enumerate(compared)],
    }


def _answer(scratch: Path, index: int) -> Path:
    """Return the file for the output of the variant with this *index* for the first frame."""
    return scratch / f"answer-{index}.npz"


def _agreement(scratch: Path, index: int) -> dict[str, float | None] | None:
    """Compare a variant's output with the first variant's; None if either is missing."""
    mine, first = _answer(scratch, index), _answer(scratch, 0)
    if not index or not (mine.exists() and first.exists()):
        return None
    from edge_worker.tools.bench.agreement import compare  # noqa: PLC0415 - numeric libraries

    return compare(mine, first)


def _compared(config: Config, setup: Setup, options: BenchOptions, scratch: Path) -> list[Compared]:
    grid = Grid(options.isas or (None,), options.threads or (None,), options.variants)
    if options.against is None:
        return among_themselves(setup, grid)
    if options.against in REFERENCES:
        return with_reference(setup, options.against, grid)
    try:
        other = Setup(config, options.against, setup.frames, options.size, scratch)
    except EdgeWorkerError as error:
        raise EdgeWorkerError(f"--against {error}; besides models, it takes {' and '.join(REFERENCES)}") from error
    return with_model(setup, other, grid)


def _summary(index: int, compared: Compared, measured: Sequence[Measured], scratch: Path) -> dict[str, Any]:
    """Return a variant's figures, its speed relative to another's, and its agreement with the first variant."""
    one, other = measured[index], measured[compared.ratio_to]
    summary = one.summary()
    if one.walls_ms and other.walls_ms:
        summary["ratio"] = paired_ratio(other.walls_ms, one.walls_ms)
    if compared.same_model and (agreement := _agreement(scratch, index)):
        summary["agreement"] = agreement
    return summary


def _note(text: str) -> None:
    sys.stderr.write(f"{text}\n")
