"""Time of OpenVINO for a batch of frames: the reason why the worker runs them one by one."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import numpy as np
import openvino

from edge_worker.m2fp.engines.precisions import network_precision

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from edge_worker.m2fp.engines.base import Shape

Times = dict[str, list[float]]


def batch_times(
    network: Path, shape: Shape, precision: str, batches: Sequence[int], *, threads: int, turns: int
) -> dict[int, Times]:
    """Return wall and CPU milliseconds for each of the *batches*, run in turn.

    Args:
        network: ONNX, or OpenVINO's XML.
        shape: height and width of the input.
        precision: a precision of the engine; bf16x3 needs its kernel, and is the same as f32 here.
        batches: batch sizes.
        threads: threads per inference.
        turns: number of runs of each batch, after one that is not counted.
    """
    settings = {"INFERENCE_PRECISION_HINT": network_precision(precision), "INFERENCE_NUM_THREADS": threads}
    requests = {batch: _request(network, batch, shape, settings) for batch in batches}
    inputs = {batch: np.random.default_rng(0).standard_normal((batch, 3, *shape), np.float32) for batch in batches}
    times: dict[int, Times] = {batch: {"wall_ms": [], "processor_ms": []} for batch in batches}
    for turn in range(turns + 1):
        for batch, request in requests.items():
            wall, processor = time.perf_counter(), time.process_time()
            request.infer({0: inputs[batch]}, share_inputs=True)
            if turn:
                times[batch]["wall_ms"].append(1000 * (time.perf_counter() - wall))
                times[batch]["processor_ms"].append(1000 * (time.process_time() - processor))
    return times


def _request(network: Path, batch: int, shape: Shape, settings: dict[str, Any]) -> openvino.InferRequest:
    core = openvino.Core()
    graph = core.read_model(network)
    graph.reshape([batch, 3, *shape])
    fixed = {"PERFORMANCE_HINT": "LATENCY", "NUM_STREAMS": 1, "ENABLE_CPU_PINNING": False}
    return core.compile_model(graph, "CPU", {**settings, **fixed}).create_infer_request()
