"""Compilation in a subprocess, whose exit frees the memory it takes: several times the weights.

The subprocess runs :mod:`edge_worker.m2fp.engines.compile_process`.
"""

from __future__ import annotations

import json
import subprocess
import sys
from contextlib import suppress
from dataclasses import asdict
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pathlib import Path

    from edge_worker.m2fp.engines.base import EngineOptions, Shape

COMPILE_PROCESS: Final = "edge_worker.m2fp.engines.compile_process"

# Below this file size, compiling costs less memory and time than starting another interpreter.
_SMALL_BYTES = 4_000_000


def is_worth_it(network: Path) -> bool:
    """Return whether a network (ONNX, or OpenVINO IR) is large enough for a subprocess."""
    return sum(file.stat().st_size for file in network.parent.glob(f"{network.stem}.*")) >= _SMALL_BYTES


def compile_apart(model: Path, options: EngineOptions, shape: Shape) -> None:
    """Compile a network in a subprocess into the cache directory of *options*.

    Failures are silent: the caller finds no compiled network, compiles in its own process and gets the error there.
    """
    order = {"model": str(model), "shape": shape, **asdict(options), "cache_directory": str(options.cache_directory)}
    with (
        suppress(OSError),
        subprocess.Popen(  # noqa: S603 - our own program
            (sys.executable, "-m", COMPILE_PROCESS),
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
