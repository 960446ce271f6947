"""Compiles a network in a subprocess: ``python -m edge_worker.m2fp.engines.compile_process``.

Reads model, options and shape as one line of JSON from standard input and writes the compiled network to the cache
directory. Exits when standard input closes, that is, with its parent.
"""

from __future__ import annotations

import json
import sys
import threading
from pathlib import Path

from edge_worker.common.processes import end_with_the_input
from edge_worker.m2fp.directory import open_directory
from edge_worker.m2fp.engines.base import EngineOptions
from edge_worker.m2fp.engines.openvino import OpenVinoEngine


def main() -> None:
    """Compile the network described by the first line of standard input."""
    order = json.loads(sys.stdin.readline())
    threading.Thread(target=end_with_the_input, daemon=True).start()
    options = EngineOptions(order["precision"], order["threads"], Path(order["cache_directory"]), order["shapes"])
    OpenVinoEngine(open_directory(order["model"]), options).compile_to_disk(tuple(order["shape"]))


if __name__ == "__main__":
    main()
