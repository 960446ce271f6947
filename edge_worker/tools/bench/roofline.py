"""The floor under the network's time: its arithmetic at the machine's measured rate.

``python -m edge_worker.tools.bench.roofline`` measures in a process of its own, with thread limits of its own.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from edge_worker.errors import EdgeWorkerError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_COPY_BYTES = 256_000_000
_REPEATS = 3


@dataclass(frozen=True, slots=True)
class Roofline:
    """What the machine could do at best, and what the network asks of it.

    Attributes:
        flops: operations a second of a large matrix product, by precision.
        copy_bytes: bytes a second that one thread copies, read and written counted as one.
        multiply_adds: of the network for one frame.
        threads: that the matrix products used.
    """

    flops: Mapping[str, float]
    copy_bytes: float
    multiply_adds: int
    threads: int

    def floor_ms(self, precision: str) -> float | None:
        """Milliseconds that the network's arithmetic takes at least; None where the rate was not measured."""
        rate = self.flops.get(precision)
        return None if rate is None else 1000 * 2 * self.multiply_adds / rate


def measure(
    model: Path, shape: tuple[int, int], precisions: Sequence[str], threads: int, environment: Mapping[str, str]
) -> Roofline:
    """Measure in a process of its own, for an exported *model* and inputs of this height and width.

    Raises:
        EdgeWorkerError: it cannot be measured here.
    """
    order = json.dumps({"model": str(model), "shape": shape, "precisions": list(precisions), "threads": threads})
    done = subprocess.run(  # noqa: S603 - our own program
        (sys.executable, "-m", __name__, order),
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise EdgeWorkerError(f"the roofline cannot be measured: {done.stderr.strip().splitlines()[-1:]}")
    return Roofline(**json.loads(done.stdout.splitlines()[-1]))


def _main(order: str) -> None:
    wanted = json.loads(order)
    # Not before: only this process is meant to load the library.
    from edge_worker.m2fp.engines.ceiling import matrix_rate, multiply_adds  # noqa: PLC0415

    rates = {precision: matrix_rate(precision, wanted["threads"]) for precision in wanted["precisions"]}
    count = multiply_adds(Path(wanted["model"]), tuple(wanted["shape"]))
    found = Roofline(rates, _copy_rate(), count, wanted["threads"])
    sys.stdout.write(json.dumps(asdict(found)) + "\n")


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
