"""Start of a model process: command, environment without secrets, socket pair."""

from __future__ import annotations

import socket
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING

from edge_worker.config import secret_paths
from edge_worker.ops.sandbox import Sandbox

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from edge_worker.config import Config
    from edge_worker.inference.types import ModelSettings

# Limits on the instruction sets of our kernels (edge_worker.m2fp.kernels.loader), oneDNN, PyTorch and MKL.
_LIMITS = (
    "EDGE_WORKER_WITHOUT_KERNELS",
    "ONEDNN_MAX_CPU_ISA",
    "DNNL_MAX_CPU_ISA",
    "ATEN_CPU_CAPABILITY",
    "MKL_ENABLE_INSTRUCTIONS",
)
# The only variables inherited by the child: the worker's environment may hold secrets.
_INHERITED = ("PATH", "LD_LIBRARY_PATH", "HOME", "TMPDIR", "TZ", "LANG", "XDG_CACHE_HOME", *_LIMITS)
_INHERITED_PREFIXES = ("LC_", "PYTHON", "MALLOC_")
# Memory for one frame. Measured: 24 megapixels with eight persons and all outputs took 2.2 GB, 92 bytes per pixel. The
# reserve is for a network compiled for another shape, and for stacks and arenas that are never touched.
FRAME_BYTES_PER_PIXEL = 160
_RESERVE_MB = 1024.0
_BYTES_PER_MB = 1_000_000
_STDERR = 2  # standard output belongs to the worker's logs or to a command's result


@dataclass(frozen=True, slots=True)
class Launch:
    """Command, environment and first message of a model process.

    Attributes:
        command: program and arguments; the file descriptor of its end of the channel is appended.
        environment: the child's complete environment.
        settings, sandbox: its first message.
    """

    command: tuple[str, ...]
    environment: Mapping[str, str]
    settings: ModelSettings
    sandbox: Sandbox


def child_environment(environ: Mapping[str, str], threads: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of a model process: the few variables of *environ* that it needs, and thread limits."""
    inherited = {name: value for name, value in environ.items() if _is_inherited(name)}
    return {**inherited, **threads}


def sandbox_for(config: Config, environ: Mapping[str, str], cache_directory: Path | None) -> Sandbox:
    """Return the sandbox of the model processes for this configuration and environment."""
    return Sandbox(
        hidden=tuple(str(path.absolute()) for path in secret_paths(config.mqtt, environ)),
        cache_directory=None if cache_directory is None else str(cache_directory.absolute()),
        keep_mb=config.memory.limit_mb,
        frame_mb=config.limits.max_pixels * FRAME_BYTES_PER_PIXEL / _BYTES_PER_MB + _RESERVE_MB,
    )


def spawn(launch: Launch) -> tuple[subprocess.Popen[bytes], socket.socket]:
    """Start the child; returns it and the worker's end of the socket pair.

    It gets its own session, so that Ctrl-C in a terminal reaches the worker only.

    Raises:
        OSError: it cannot be started.
    """
    ours, theirs = socket.socketpair()
    with theirs:
        try:
            process = subprocess.Popen(  # noqa: S603 - our own command
                [*launch.command, str(theirs.fileno())],
                env=dict(launch.environment),
                stdin=subprocess.DEVNULL,
                stdout=_STDERR,
                pass_fds=[theirs.fileno()],
                start_new_session=True,
            )
        except OSError:
            ours.close()
            raise
    return process, ours


def _is_inherited(name: str) -> bool:
    return name in _INHERITED or name.startswith(_INHERITED_PREFIXES)
