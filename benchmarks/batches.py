"""Time per frame if frames of several cameras share one inference.

``python -m benchmarks.batches`` is the subprocess that measures.
"""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.apart import measured_apart
from benchmarks.inputs import input_shape
from edge_worker.m2fp.directory import open_directory
from edge_worker.tools.bench.statistics import Summary, paired_ratio

if TYPE_CHECKING:
    from collections.abc import Mapping

    from edge_worker.tools.bench.setup import Setup

BATCHES = (1, 2, 4)


def measure(setup: Setup, precision: str, turns: int) -> list[dict[str, Any]]:
    """Measure the network alone by batch size, for the input shape of the first frame.

    The graph is the model's, without the compiled kernel, which supports only one frame.

    Raises:
        EdgeWorkerError: it cannot be measured here.
    """
    plan, directory = setup.plan(None), open_directory(setup.exported)
    order = {
        "network": str(directory.network_file(precision)),
        "shape": input_shape(directory.config, setup.frames[0], setup.config.model.short_side),
        "precision": precision,
        "threads": plan.inference,
        "turns": turns,
    }
    return rows(measured_apart(__name__, order, plan.environment()))


def rows(times: Mapping[str, Mapping[str, list[float]]]) -> list[dict[str, Any]]:
    """Compare the *times* of each batch with those of one frame, turn by turn."""
    return [_row(batch, times[str(batch)], times["1"]) for batch in BATCHES]


def _row(batch: int, times: Mapping[str, list[float]], single: Mapping[str, list[float]]) -> dict[str, Any]:
    """Return the *times* of a batch, and their ratio to those of one frame in the same turns."""
    walls, processors = times["wall_ms"], times["processor_ms"]
    return {
        "frames in a batch": batch,
        "all answered after, ms": asdict(Summary.of(walls)),
        "a frame, ms": asdict(Summary.of([wall / batch for wall in walls])),
        "processor time of a frame, ms": asdict(Summary.of([ms / batch for ms in processors])),
        "frames a second, ratio to one": batch * paired_ratio(single["wall_ms"], walls),
        "processor time, ratio to one": paired_ratio(processors, single["processor_ms"]) / batch,
    }


def _main(order: str) -> None:
    wanted = json.loads(order)
    # Imported here: only this process should load the library.
    from benchmarks.batch_times import batch_times  # noqa: PLC0415

    network, shape = Path(wanted["network"]), tuple(wanted["shape"])
    found = batch_times(network, shape, wanted["precision"], BATCHES, threads=wanted["threads"], turns=wanted["turns"])
    sys.stdout.write(json.dumps(found) + "\n")


if __name__ == "__main__":
    _main(sys.argv[1])
