"""Compiles a network in a process of its own, which takes with it what memory that needs: several times the weights.

:mod:`edge_worker.m2fp.engines.compile_process` is that process.
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
