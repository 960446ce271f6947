"""Lower bound on the network's time: its arithmetic at the machine's measured rate.

``python -m benchmarks.roofline`` is the subprocess that measures, with its own thread limits.
"""

from __future__ import annotations

import json
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.apart import measured_apart
from benchmarks.inputs import input_shape
from edge_worker.common.errors import EdgeWorkerError
from edge_worker.m2fp.directory import open_directory
from edge_worker.tools.bench.statistics import Summary
from edge_worker.tools.bench.variants import measure as measure_frames

if TYPE_CHECKING:
    from collections.abc import Mapping

    from edge_worker.tools.bench.setup import Setup

_COPY_BYTES = 256_000_000
_REPEATS = 3


@dataclass(frozen=True, slots=True)
class Roofline:
    """Peak rates of the machine, and the work of the network.

    Attributes:
        flops: operations per second of a large matrix product, by precision: f32, bf16, f16, int8.
        copy_bytes: bytes per second that one thread copies; a read and its write count once.
        multiply_adds: multiply-adds of the network for one frame, by precision.
    """

    flops: Mapping[str, float]
    copy_bytes: float
    multiply_adds: Mapping[str, int]

    def floor_ms(self) -> float:
        """Minimum milliseconds of the network's arithmetic."""
        return 1000 * sum(2 * count / self.flops[kind] for kind, count in self.multiply_adds.items())


def measure(setup: Setup, precision: str, turns: int) -> list[dict[str, Any]]:
    """Return one row: the network's time in OpenVINO, its lower bound, and the rates behind that.

    Raises:
        EdgeWorkerError: it cannot be measured here.
    """
    plan, directory = setup.plan(None), open_directory(setup.exported)
    shape = input_shape(directory.config, setup.frames[0], setup.config.model.short_side)
    order = {"network": str(directory.network_file(precision)), "precision": precision, "shape": shape}
    found = Roofline(**measured_apart(__name__, {**order, "threads": plan.inference}, plan.environment()))
    (frames,) = measure_frames([setup.variant("openvino", precision)], setup.frames, turns)
    if frames.error:
        raise EdgeWorkerError(frames.error)
    network = Summary.of([frame["inference"] for frame in frames.frames])
    return [
        {
            "multiply-adds, G": _by_kind(found.multiply_adds),
            "large products, GFLOP/s": _by_kind(found.flops),
            "copies, GB/s": found.copy_bytes / 1e9,
            "floor, ms": found.floor_ms(),
            "network, ms": asdict(network),
            "over the floor": network.median / found.floor_ms(),
        }
    ]


def _by_kind(counts: Mapping[str, float]) -> str:
    return ", ".join(f"{kind} {count / 1e9:.0f}" for kind, count in counts.items())


def _main(order: str) -> None:
    wanted = json.loads(order)
    from benchmarks.ceiling import matrix_rate  # noqa: PLC0415 - only this process loads the library

    work = _work(Path(wanted["network"]), tuple(wanted["shape"]), wanted["precision"])
    rates = {kind: matrix_rate(kind, wanted["threads"]) for kind in work}
    sys.stdout.write(json.dumps(asdict(Roofline(rates, _copy_rate(), work))) + "\n")


def _work(network: Path, shape: tuple[int, int], precision: str) -> dict[str, int]:
    """Return the multiply-adds that the network takes in an engine's *precision*."""
    from benchmarks.ceiling import multiply_adds  # noqa: PLC0415
    from edge_worker.m2fp.engines.precisions import SPLIT, network_precision  # noqa: PLC0415

    if precision != SPLIT:
        return multiply_adds(network, shape, network_precision(precision))
    return {"bf16": 3 * sum(multiply_adds(network, shape, "bf16").values())}


def _copy_rate() -> float:
    import numpy as np  # noqa: PLC0415 - only this process is meant to load the library

    source, target = np.ones(_COPY_BYTES, np.uint8), np.empty(_COPY_BYTES, np.uint8)
    best = float("inf")
    for _ in range(_REPEATS + 1):  # the first run allocates the pages
        began = time.perf_counter()
        np.copyto(target, source)
        best = min(best, time.perf_counter() - began)
    return _COPY_BYTES / best


if __name__ == "__main__":
    _main(sys.argv[1])
