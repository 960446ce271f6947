"""The process in which a network is compiled: ``python -m edge_worker.m2fp.engines.compile_process``.

It is told model, options and shape in a line of JSON on its standard input, leaves the compiled network in the cache
directory, and ends when that input does: with the process that asked.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from pathlib import Path

from edge_worker.m2fp.directory import open_directory
from edge_worker.m2fp.engines.base import EngineOptions
from edge_worker.m2fp.engines.openvino import OpenVinoEngine


def main() -> None:
    """Compile what the first line of standard input asks for."""
    order = json.loads(sys.stdin.readline())
    threading.Thread(target=_end_with_the_input, daemon=True).start()
    options = EngineOptions(order["precision"], order["threads"], Path(order["cache_directory"]), order["shapes"])
    OpenVinoEngine(open_directory(order["model"]), options).compile_to_disk(tuple(order["shape"]))


def _end_with_the_input() -> None:
    os.read(sys.stdin.fileno(), 1)  # not sys.stdin.read(): its lock, held here, would be in the way of a normal end
    os._exit(1)


if __name__ == "__main__":
    main()
