"""The floor under the network's time: its arithmetic at the machine's measured rate.

``python -m edge_worker.tools.bench.roofline`` measures in a process of its own, with thread limits of its own.
"""

from __future__ import annotations

import json
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from edge_worker.tools.bench.apart import measured_apart

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from edge_worker.m2fp.directory import ModelDirectory

_COPY_BYTES = 256_000_000
_REPEATS = 3


@dataclass(frozen=True, slots=True)
class Roofline:
    """What the machine could do at best, and what the network asks of it.

    Attributes:
        flops: operations a second of a large matrix product, by what it is computed in: f32, bf16, f16, int8.
        copy_bytes: bytes a second that one thread copies, read and written counted as one.
        multiply_adds: of the network for one frame, by the engine's precision and by what each is computed in.
        threads: that the matrix products used.
    """

    flops: Mapping[str, float]
    copy_bytes: float
    multiply_adds: Mapping[str, Mapping[str, int]]
    threads: int

    def floor_ms(self, precision: str) -> float:
        """Milliseconds that the network's arithmetic takes at least in a precision that was asked for."""
        work = self.multiply_adds[precision]
        return 1000 * sum(2 * count / self.flops[kind] for kind, count in work.items())


def measure(
    model: ModelDirectory,
    shape: tuple[int, int],
    precisions: Sequence[str],
    threads: int,
    environment: Mapping[str, str],
) -> Roofline:
    """Measure in a process of its own, for an exported *model* and inputs of this height and width.

    Raises:
        EdgeWorkerError: it cannot be measured here.
    """
    networks = {precision: str(model.network_file(precision)) for precision in precisions}
    order = {"networks": networks, "shape": shape, "threads": threads}
    return Roofline(**measured_apart(__name__, order, environment))


def _main(order: str) -> None:
    wanted = json.loads(order)
    from edge_worker.m2fp.engines.ceiling import matrix_rate  # noqa: PLC0415 - only this process loads the library

    work = {name: _work(Path(file), tuple(wanted["shape"]), name) for name, file in wanted["networks"].items()}
    kinds = dict.fromkeys(kind for counts in work.values() for kind in counts)
    rates = {kind: matrix_rate(kind, wanted["threads"]) for kind in kinds}
    sys.stdout.write(json.dumps(asdict(Roofline(rates, _copy_rate(), work, wanted["threads"]))) + "\n")


def _work(network: Path, shape: tuple[int, int], precision: str) -> dict[str, int]:
    """The multiply-adds that an engine's precision makes of a network's."""
    from edge_worker.m2fp.engines.ceiling import multiply_adds  # noqa: PLC0415
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
