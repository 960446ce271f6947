"""Runs an engine in a process that may crash: ``python -m edge_worker.m2fp.engines.engine_process``.

Reads an order as one line of JSON from standard input: to compile a network into the cache directory, or to try an
engine. Writes an answer as one line to standard output: ``seconds`` of an inference, or a ``problem``. Exits when
standard input closes, that is, with its parent.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import threading
from dataclasses import replace
from time import perf_counter
from typing import TYPE_CHECKING, Any

import numpy as np

from edge_worker.common.processes import end_with_the_input
from edge_worker.m2fp.directory import open_directory
from edge_worker.m2fp.engines.base import EngineOptions
from edge_worker.m2fp.limb_sides import CHANNELS, CROP
from edge_worker.m2fp.manifest import LIMB_SIDES_FILE

if TYPE_CHECKING:
    from types import ModuleType

    from edge_worker.m2fp.directory import ModelDirectory
    from edge_worker.m2fp.types import FloatArray

_TURNS = 2
_MAX_PROBLEM = 300  # characters


def main() -> None:
    """Carry out the order in the first line of standard input."""
    order = json.loads(sys.stdin.readline())
    threading.Thread(target=end_with_the_input, daemon=True).start()
    try:
        answer = _carry_out(order)
    except Exception as error:  # noqa: BLE001 - libraries document none; whatever it is, the engine is not used
        answer = {"problem": f"{type(error).__name__}: {error}"[:_MAX_PROBLEM]}
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()
    os._exit(0)  # skip the exit handlers of native libraries


def _carry_out(order: dict[str, Any]) -> dict[str, Any]:
    """Load the engine's library and, if the order has a precision, compile the model to disk, or run it on noise."""
    module = importlib.import_module(f"edge_worker.m2fp.engines.{order['engine']}")
    options, shape = EngineOptions.from_wire(order["options"]), tuple(order["shape"])
    if not options.precision:
        module.precisions()
        return {"seconds": 0.0}
    model = open_directory(order["model"])
    engine = module.create(model, options, order["second"]) if order["second"] else module.create(model, options)
    if order["to_disk"]:
        engine.compile_to_disk(shape)
        return {"seconds": 0.0}
    engine.compile(shape)
    tensor = np.random.default_rng(0).standard_normal((1, 3, *shape)).astype(np.float32)
    seconds = []
    for _ in range(_TURNS):
        began = perf_counter()
        logits = engine.infer(tensor)
        seconds.append(perf_counter() - began)
    answers = [*logits, *(_of_second_network(module, model, options) if model.decides_sides else ())]
    if not all(np.isfinite(answer).all() for answer in answers):
        return {"problem": "it answers with values that are no numbers"}
    return {"seconds": min(seconds)}


def _of_second_network(module: ModuleType, model: ModelDirectory, options: EngineOptions) -> list[FloatArray]:
    """Return what it answers to an empty image."""
    network = module.create(model, replace(options, precision="f32"), LIMB_SIDES_FILE)
    return list(network.run(np.zeros((1, CHANNELS, CROP.height, CROP.width), np.float32)))


if __name__ == "__main__":
    main()
