"""Engines in a subprocess: for compiling, which takes several times the weights in memory until exit, and for trials.

The subprocess runs :mod:`edge_worker.m2fp.engines.engine_process`.
"""

from __future__ import annotations

import json
import subprocess
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pathlib import Path

    from edge_worker.m2fp.engines.base import EngineOptions, Shape

ENGINE_PROCESS: Final = "edge_worker.m2fp.engines.engine_process"

# Below this file size, compiling costs less memory and time than starting another interpreter.
_SMALL_BYTES = 4_000_000


def is_worth_it(network: Path) -> bool:
    """Return whether a network (ONNX, or OpenVINO IR) is large enough for a subprocess."""
    return sum(file.stat().st_size for file in network.parent.glob(f"{network.stem}.*")) >= _SMALL_BYTES


def compile_apart(model: Path, options: EngineOptions, shape: Shape, second: str | None = None) -> None:
    """Compile a network of *model*, or its *second* one, in a subprocess into the cache directory of *options*.

    Failures are silent: the caller finds no compiled network, compiles in its own process and gets the error there.
    """
    with suppress(OSError), start_process("openvino", model, options, shape, to_disk=True, second=second) as process:
        process.wait()


def start_process(
    engine: str,
    model: Path,
    options: EngineOptions,
    shape: Shape | None,
    *,
    to_disk: bool,
    second: str | None = None,
) -> subprocess.Popen[bytes]:
    """Start a subprocess that compiles *to_disk*, or tries an engine and answers on its standard output.

    Raises:
        OSError: it cannot be started.
    """
    process = subprocess.Popen(  # noqa: S603 - our own program
        (sys.executable, "-m", ENGINE_PROCESS),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        bufsize=0,
    )
    assert process.stdin  # noqa: S101 - it was asked for
    order = {"engine": engine, "model": str(model), "options": options.to_wire(), "shape": shape}
    with suppress(BrokenPipeError):
        process.stdin.write(json.dumps({**order, "to_disk": to_disk, "second": second}).encode() + b"\n")
    return process
