"""The floor under the network's time: its arithmetic at the machine's measured rate.

``python -m benchmarks.roofline`` measures in a process of its own, with thread limits of its own.
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
    """What the machine could do at best, and what the network asks of it.

    Attributes:
        flops: operations a second of a large matrix product, by what it is computed in: f32, bf16, f16, int8.
        copy_bytes: bytes a second that one thread copies, read and written counted as one.
        multiply_adds: of the network for one frame, by what each is computed in.
    """

    flops: Mapping[str, float]
    copy_bytes: float
    multiply_adds: Mapping[str, int]

    def floor_ms(self) -> float:
        """Milliseconds that the network's arithmetic takes at least."""
        return 1000 * sum(2 * count / self.flops[kind] for kind, count in self.multiply_adds.items())


def measure(setup: Setup, precision: str, turns: int) -> list[dict[str, Any]]:
    """One row: the network's time in OpenVINO, its floor, and the rates that the floor is made of.

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
    """The multiply-adds that an engine's precision makes of a network's."""
    from benchmarks.ceiling import multiply_adds  # noqa: PLC0415
    from edge_worker.m2fp.engines.precisions import SPLIT, network_precision  # noqa: PLC0415

    if precision != SPLIT:
        return multiply_adds(network, shape, network_precision(precision))
    return {"bf16": 3 * sum(multiply_adds(network, shape, "bf16").values())}


def _copy_rate() -> float:
    import numpy as np  # noqa: PLC0415 - only this process is meant to load the library

    source, target = np.ones(_COPY_BYTES, np.uint8), np.empty(_COPY_BYTES, np.uint8)
    best = float("inf")
    for _ in range(_REPEATS + 1):  # the first writes pages that were not there
        began = time.perf_counter()
        np.copyto(target, source)
        best = min(best, time.perf_counter() - began)
    return _COPY_BYTES / best


if __name__ == "__main__":
    _main(sys.argv[1])
