"""Frames of several cameras in one inference: what a frame costs then.

``python -m edge_worker.tools.bench.batches`` measures, in a process of its own.
"""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edge_worker.tools.bench.apart import measured_apart
from edge_worker.tools.bench.statistics import Summary, paired_ratio

if TYPE_CHECKING:
    from collections.abc import Mapping

    from edge_worker.m2fp.directory import ModelDirectory

BATCHES = (1, 2, 4)


def batches(
    model: ModelDirectory,
    shape: tuple[int, int],
    precision: str,
    *,
    threads: int,
    turns: int,
    environment: Mapping[str, str],
) -> list[dict[str, Any]]:
    """Time of the network alone for an exported *model* and inputs of this height and width, by frames in a batch.

    The graph is that of the model, without the compiled kernel, which takes one frame.

    Raises:
        EdgeWorkerError: it cannot be measured here.
    """
    order = {"network": str(model.network_file(precision)), "shape": shape, "precision": precision}
    times = measured_apart(__name__, {**order, "threads": threads, "turns": turns}, environment)
    return [_row(batch, times[str(batch)], times["1"]) for batch in BATCHES]


def _row(batch: int, times: Mapping[str, list[float]], single: Mapping[str, list[float]]) -> dict[str, Any]:
    """*times* of a batch, and how they compare with those of one frame in the same turns."""
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
    # Not before: only this process is meant to load the library.
    from edge_worker.m2fp.engines.batches import batch_times  # noqa: PLC0415

    network, shape = Path(wanted["network"]), tuple(wanted["shape"])
    found = batch_times(network, shape, wanted["precision"], BATCHES, threads=wanted["threads"], turns=wanted["turns"])
    sys.stdout.write(json.dumps(found) + "\n")


if __name__ == "__main__":
    _main(sys.argv[1])
