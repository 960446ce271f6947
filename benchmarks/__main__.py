"""``python -m benchmarks EXPERIMENT…``: performance experiments that vary one factor; see README.md."""

from __future__ import annotations

import argparse
import json
import logging
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import structlog
from rich.console import Console

from benchmarks import batches, cached, candidates, gateway, memory, page, roofline, sweeps
from benchmarks.tables import table_of
from edge_worker.cli.arguments import MODELS, SETTINGS, counts, size, takes_config, variants, without_broker
from edge_worker.common.errors import EdgeWorkerError
from edge_worker.config import load
from edge_worker.tools.bench.machine import machine
from edge_worker.tools.bench.report import machine_line
from edge_worker.tools.bench.setup import Setup

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from edge_worker.config import Config


@dataclass(frozen=True, slots=True)
class Experiment:
    """Input of an experiment.

    Attributes:
        config: configuration of a worker with this model, engine and precision.
        setup: the model and the frames.
        engine, precision: engine and precision of the network.
        size: width and height of rendered frames.
        turns: number of repetitions of each measurement.
        scratch: folder for temporary files.
    """

    config: Config
    setup: Setup
    engine: str
    precision: str
    size: tuple[int, int]
    turns: int
    scratch: Path


Rows = list[dict[str, Any]]

EXPERIMENTS: dict[str, Callable[[Experiment], Rows]] = {
    "candidates": lambda of: candidates.measure(of.setup, of.size, of.turns),
    "sizes": lambda of: sweeps.sizes(of.setup.variant(of.engine, of.precision), of.turns, of.scratch),
    "kernels": lambda of: sweeps.kernels(of.setup.variant(of.engine, of.precision), of.setup.frames[0], of.turns),
    "processes": lambda of: sweeps.processes(of.setup, of.engine, of.precision, of.turns),
    "batches": lambda of: batches.measure(of.setup, of.precision, of.turns),
    "cache": lambda of: cached.measure(of.setup.variant(of.engine, of.precision), of.setup.frames[:1], of.turns),
    "gateway": lambda of: gateway.measure(of.setup.model, of.setup.frames[0], of.turns, of.scratch),
    "memory": lambda of: memory.measure(of.config, of.scratch),
    "page": lambda of: page.measure(of.setup.model, of.turns, of.scratch),
    "roofline": lambda of: roofline.measure(of.setup, of.precision, of.turns),
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the requested experiments; returns 1 if one could not be run."""
    arguments = _parser().parse_args(argv)
    try:
        with tempfile.TemporaryDirectory(prefix="edge-worker-benchmarks-") as scratch:
            found = _run(arguments, Path(scratch))
    except EdgeWorkerError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    _show(found)
    if arguments.json:
        arguments.json.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "experiments", nargs="+", choices=EXPERIMENTS, metavar="EXPERIMENT", help=", ".join(EXPERIMENTS)
    )
    parser.add_argument(
        "--image", action="append", type=Path, default=[], help="file or folder (default: a rendered frame)"
    )
    parser.add_argument("--size", type=size, default=(1280, 720), metavar="WxH", help="of rendered frames (1280x720)")
    parser.add_argument(
        "--variant", type=variants, default=(("openvino", "bf16"),), metavar="ENGINE:PRECISION", help="openvino:bf16"
    )
    parser.add_argument("--threads", type=counts, default=(None,), metavar="N", help="of an inference (all)")
    parser.add_argument("--turns", type=int, default=10, help="times that each thing is measured (10)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write what was found")
    parser.add_argument("--model", help=f"{MODELS}, or seeded-r101: random weights of the published size")
    takes_config(parser, SETTINGS)
    return parser


def _run(arguments: argparse.Namespace, scratch: Path) -> dict[str, Any]:
    ((engine, precision), *_), (threads, *_) = arguments.variant, arguments.threads
    environ = without_broker(arguments)
    if threads is not None:
        environ["EDGE_WORKER__THREADS__INFERENCE"] = str(threads)
    config = load(arguments.config, environ)
    setup = Setup(config, arguments.model, arguments.image, arguments.size, scratch)
    setup.quantise_for(precision)
    model = {"path": str(setup.exported), "engine": engine, "precision": precision}
    config = config.model_copy(update={"model": config.model.model_copy(update=model)})
    experiment = Experiment(config, setup, engine, precision, arguments.size, max(1, arguments.turns), scratch)
    found: dict[str, Any] = {"machine": machine(), "model": setup.model, "variant": f"{engine}:{precision}"}
    for name in dict.fromkeys(arguments.experiments):
        sys.stderr.write(f"{name}\n")
        found[name] = EXPERIMENTS[name](experiment)
    return found


def _show(found: dict[str, Any]) -> None:
    console = Console(highlight=False)
    console.print(machine_line(found["machine"]))
    for name in EXPERIMENTS:
        if name in found:
            console.print(table_of(f"{name}: {found['model']}, {found['variant']}", found[name]))


if __name__ == "__main__":
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    sys.exit(main())
