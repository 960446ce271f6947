"""The published pipeline in its own process; the counterpart of :mod:`edge_worker.tools.bench.child`.

Runs in the environment of ``make reference``: ``python -m benchmarks.published``. The first line of input has the
checkpoint and the number of threads, each further line the file of a frame.
"""

from __future__ import annotations

import json
import os
import sys
import time
from typing import Any

from edge_worker.tools.bench.child import peak_mb


def main() -> int:
    """Serve orders from standard input until it ends."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8", buffering=1)
    os.dup2(2, 1)
    settings = json.loads(sys.stdin.readline())
    began = time.perf_counter()
    parse = _open(settings["checkpoint"])
    model = {"engine": "modelscope", "precision": "f32"}
    answers.write(json.dumps({"load_s": time.perf_counter() - began, "model": model}) + "\n")
    for line in sys.stdin:
        began = time.perf_counter()
        parse(json.loads(line)["frame"])
        wall_ms = 1000 * (time.perf_counter() - began)
        answer = {"wall_ms": wall_ms, "stages_ms": {"pipeline": wall_ms}, "peak_mb": peak_mb()}
        answers.write(json.dumps({**answer, "threads": settings["threads"]}) + "\n")
    return 0


def _open(checkpoint: str) -> Any:  # noqa: ANN401 - ModelScope's pipeline has no types
    # torch reads its number of threads from the environment.
    from modelscope.pipelines import pipeline  # noqa: PLC0415
    from modelscope.utils.constant import Tasks  # noqa: PLC0415

    return pipeline(Tasks.image_segmentation, model=checkpoint, device="cpu")


if __name__ == "__main__":
    sys.exit(main())
