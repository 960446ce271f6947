"""Compiles a network in a process of its own, which takes with it what memory that needs: several times the weights.

``python -m edge_worker.m2fp.engines.compiler`` is told model, options and shape in a line of JSON on its standard
input, and leaves the compiled network in the cache directory. It ends when that input does: with whoever asked.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from edge_worker.m2fp.engines.base import EngineOptions

if TYPE_CHECKING:
    from edge_worker.m2fp.engines.base import Shape

# Networks in files smaller than this compile in less memory and time than another interpreter takes.
_SMALL_BYTES = 4_000_000


def is_worth_it(network: Path) -> bool:
    """Whether a network, ONNX or OpenVINO's XML with its weights beside it, is large enough for another process."""
    return sum(file.stat().st_size for file in network.parent.glob(f"{network.stem}.*")) >= _SMALL_BYTES


def compile_apart(model: Path, options: EngineOptions, shape: Shape) -> None:
    """Have a network compiled into the cache directory of *options*.

    Nothing is said where that fails: the caller finds no compiled network, compiles it itself, and meets the reason.
    """
    order = {"model": str(model), "shape": shape, **asdict(options), "cache_directory": str(options.cache_directory)}
    with (
        suppress(OSError),
        subprocess.Popen(  # noqa: S603 - our own program
            (sys.executable, "-m", __name__),
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            text=True,
        ) as process,
    ):
        assert process.stdin  # noqa: S101 - it was asked for
        process.stdin.write(json.dumps(order) + "\n")
        process.stdin.flush()
        process.wait()


def main() -> None:
    """Compile what the first line of standard input asks for."""
    order = json.loads(sys.stdin.readline())
    threading.Thread(target=_end_with_the_input, daemon=True).start()
    # Not before: the process that asks needs none of this.
    from edge_worker.m2fp.directory import open_directory  # noqa: PLC0415
    from edge_worker.m2fp.engines.openvino import OpenVinoEngine  # noqa: PLC0415

    options = EngineOptions(order["precision"], order["threads"], Path(order["cache_directory"]), order["shapes"])
    OpenVinoEngine(open_directory(order["model"]), options).compile_to_disk(tuple(order["shape"]))


def _end_with_the_input() -> None:
    os.read(sys.stdin.fileno(), 1)  # not sys.stdin.read(): its lock, held here, would be in the way of a normal end
    os._exit(1)


if __name__ == "__main__":
    main()
