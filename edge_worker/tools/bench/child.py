"""One variant in its own process: ``python -m edge_worker.tools.bench.child``.

Memory, allocator and thread limits are per process, so each engine, precision and number of threads gets one, set up
as the worker sets up a model process. Its first line of input is the
:class:`edge_worker.inference.types.ModelSettings` as JSON, each further line the file of a frame; it answers each line
with a line of JSON.
"""

from __future__ import annotations

import json
import os
import sys
import time
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from edge_worker.common.errors import EdgeWorkerError
from edge_worker.common.files import text_of
from edge_worker.common.platforms import c_function
from edge_worker.inference.types import ModelSettings, OutputRequest
from edge_worker.ops.memory import COMPUTING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from edge_worker.inference.pipeline import Pipeline

_KB = 1024


def main() -> int:
    """Serve orders from standard input until it ends."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8", buffering=1)
    os.dup2(2, 1)  # output of libraries must not mix with the answers
    return serve(sys.stdin, answers)


def serve(orders: Iterable[str], answers: TextIO) -> int:
    """Load the model of the first line, then parse the frame of each further line."""
    lines = iter(orders)
    settings = ModelSettings.from_wire(json.loads(next(lines)))
    settings.threads.apply_to_process()
    COMPUTING.take_effect()
    try:
        pipeline, loaded = _load(settings)
    except EdgeWorkerError as error:
        answers.write(json.dumps({"error": str(error)}) + "\n")
        return 1
    answers.write(json.dumps(loaded) + "\n")
    answers.writelines(json.dumps(_frame(pipeline, json.loads(line))) + "\n" for line in lines)
    return 0


def _load(settings: ModelSettings) -> tuple[Pipeline, dict[str, Any]]:
    began = time.perf_counter()
    # Imported here because numeric libraries size their thread pools when they are loaded.
    from edge_worker.inference.pipeline import Pipeline  # noqa: PLC0415

    settings.threads.apply_to_opencv()
    pipeline = Pipeline.open(settings)
    return pipeline, {"load_s": time.perf_counter() - began, "model": asdict(pipeline.parser.info)}


def _frame(pipeline: Pipeline, order: dict[str, Any]) -> dict[str, Any]:
    """Parse the file ``frame``; then, untimed, write the output for the comparison to ``save``, if given."""
    payload = Path(order["frame"]).read_bytes()
    began = time.perf_counter()
    result = pipeline.run(payload, OutputRequest())
    wall_ms, peak = 1000 * (time.perf_counter() - began), peak_mb()
    if save := order.get("save"):
        from edge_worker.tools.bench.agreement import save_answer  # noqa: PLC0415

        save_answer(Path(save), pipeline.parser, pipeline.decode(payload))
        forget_peak()
    return {
        "wall_ms": wall_ms,
        "stages_ms": result.timings_ms,
        "peak_mb": peak,
        "threads": pipeline.parser.threads(),
        "persons": len(result.body["persons"]),
    }


def peak_mb() -> float:
    """Return the peak resident memory of this process in 10^6 bytes; 0 if the kernel does not report it.

    Not from getrusage, which starts at the parent's value.
    """
    status = text_of(Path("/proc/self/status")).splitlines()
    peak = next((line for line in status if line.startswith("VmHWM:")), "VmHWM: 0 kB")
    return int(peak.split()[1]) * _KB / 1e6


def forget_peak() -> None:
    """Reset :func:`peak_mb` to the memory in use now; does nothing if the kernel does not support it."""
    if (trim := c_function("malloc_trim")) is not None:
        trim(0)
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # proc(5)


if __name__ == "__main__":
    sys.exit(main())
