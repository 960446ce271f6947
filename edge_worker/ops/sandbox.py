"""Sandbox of a model process, entered before it handles untrusted bytes.

No measure needs privileges, but an old kernel or a container's profile may refuse one. A refusal is not fatal; it is
reported in the log and in the model card.
"""

from __future__ import annotations

import socket
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from edge_worker.ops.kernel import drop_capabilities, forbid_new_privileges
from edge_worker.ops.landlock import confine
from edge_worker.ops.seccomp import deny_network

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_OPEN_FILES: Final = 256  # an engine keeps fewer than ten open
_BYTES_PER_MB: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class Sandbox:
    """The limits of one model process.

    Attributes:
        hidden: files and directories that it may not read: the worker's passwords and keys.
        cache_directory: where it may write besides the temporary directory; None: only there.
        keep_mb: memory that it may keep between frames, MB; None: memory is not limited at all.
        frame_mb: further memory that it may take while it works on a frame, MB.
    """

    hidden: tuple[str, ...]
    cache_directory: str | None
    keep_mb: float | None
    frame_mb: float

    @classmethod
    def from_wire(cls, wire: Mapping[str, Any]) -> Sandbox:
        """Restore limits from ``dataclasses.asdict``."""
        return cls(**{**wire, "hidden": tuple(wire["hidden"])})

    def enter(self) -> dict[str, str]:
        """Apply the limits to this process; call once, before numeric libraries load or a second thread runs.

        Returns:
            Each measure, and why the kernel refused it; empty if in force.
        """
        measures: dict[str, Callable[[], None]] = {
            "no_new_privileges": forbid_new_privileges,
            "capabilities": drop_capabilities,
            "files": self._confine_files,
            "network": _deny_network,
            "open_files": lambda: _lower("RLIMIT_NOFILE", _OPEN_FILES),
            "core_dumps": lambda: _lower("RLIMIT_CORE", 0),  # frames must not end up on disk
        }
        return {name: _refusal(measure) for name, measure in measures.items()}

    def limit_memory(self) -> dict[str, str]:
        """Limit the memory of frames, once the model is loaded; returns as :meth:`enter`."""
        return {} if self.keep_mb is None else {"memory": _refusal(self._limit_memory)}

    def _confine_files(self) -> None:
        writable = [Path(tempfile.gettempdir()), Path("/dev/null")]
        if self.cache_directory is not None:
            cache = Path(self.cache_directory)
            with suppress(OSError):  # without a cache, loading only takes longer
                cache.mkdir(parents=True, exist_ok=True)
            writable.append(cache)
        confine(writable=writable, hidden=map(Path, self.hidden))

    def _limit_memory(self) -> None:
        """Limit private writable memory to its current size, plus growth, plus the memory of a frame.

        Not the address space (``RLIMIT_AS``): engines map gigabytes that they never touch, such as files, stacks and
        allocators' reserves.
        """
        has = {line.split()[0]: int(line.split()[1]) * 1024 for line in _status() if line.startswith("Vm")}
        growth = max(0, int(self.keep_mb or 0) * _BYTES_PER_MB - has["VmRSS:"])
        _lower("RLIMIT_DATA", has["VmData:"] + growth + int(self.frame_mb * _BYTES_PER_MB))


def summary(measures: Mapping[str, str]) -> dict[str, Any]:
    """Return the outcome of *measures* for the model card (:class:`edge_worker.messages.node.SandboxMessage`)."""
    in_force = [name for name, refusal in measures.items() if not refusal]
    return {"in_force": in_force, "refused": {name: refusal for name, refusal in measures.items() if refusal}}


def _status() -> list[str]:
    return Path("/proc/self/status").read_text(encoding="ascii", errors="replace").splitlines()


def _deny_network() -> None:
    """Deny the network, and verify that creating a socket fails."""
    deny_network()
    try:
        socket.socket().close()
    except PermissionError:
        return
    raise OSError("a socket can still be opened")


def _lower(name: str, value: int) -> None:
    """Lower a limit of this process to *value*, unless it is lower already."""
    resource: Any = import_module("resource")
    limit = getattr(resource, name)
    current = resource.getrlimit(limit)[1]
    lowest = value if current == resource.RLIM_INFINITY else min(value, current)
    resource.setrlimit(limit, (lowest, lowest))


def _refusal(measure: Callable[[], None]) -> str:
    """Apply a *measure*; return why the kernel refused it, or an empty string."""
    try:
        measure()
    except (OSError, ImportError) as error:  # no module "resource": the platform has no such limits
        return getattr(error, "strerror", None) or str(error)
    return ""
