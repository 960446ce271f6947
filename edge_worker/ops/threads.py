"""Thread limits of a model process: planned by the worker, set in the child before numeric libraries load, reported.

Numeric libraries size their thread pools when they are loaded, by the CPUs they see. In a container with a quota they
see the whole machine, start a thread per CPU and are throttled; so the limits are set before.
"""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any

from edge_worker.common.errors import ConfigError
from edge_worker.common.platforms import available_cpus

if TYPE_CHECKING:
    from collections.abc import Mapping

    from edge_worker.config import ThreadsConfig
    from edge_worker.ops.allowance import CpuAllowance

# Read once, while the library loads: OpenMP (torch, ONNX Runtime), MKL, numexpr.
_POOL_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS")
# numpy's. Postprocessing multiplies small matrices: a second thread gains nothing, and on a busy machine the first one
# waits for it (20 masks on two busy CPUs: 17 ms with one thread, 234 ms with two).
_ONE_THREAD = {"OPENBLAS_NUM_THREADS": "1"}


@dataclass(frozen=True, slots=True)
class ThreadPlan:
    """Threads of one model process.

    Attributes:
        inference: threads of the engine and of the OpenMP and MKL pools.
        opencv: threads of OpenCV.
        cpus: CPUs that the process may use; None: those of the worker.
        nice: added to the worker's niceness.
    """

    inference: int
    opencv: int
    cpus: tuple[int, ...] | None
    nice: int

    @classmethod
    def from_config(cls, threads: ThreadsConfig, allowance: CpuAllowance, processes: int | None = None) -> ThreadPlan:
        """Return the plan for each of *processes* (None: as configured), which share *allowance*.

        Raises:
            ConfigError: ``threads.cpus`` names a CPU that this process may not use.
        """
        cpus = None if threads.cpus is None else tuple(sorted(threads.cpus))
        usable = allowance.usable if cpus is None else min(allowance.usable, _count_allowed(cpus, allowance.cpus))
        configured = 1 if threads.processes == "auto" else threads.processes
        share = max(1, usable // (processes or configured))
        wanted = share if threads.inference == "auto" else threads.inference
        return cls(inference=min(wanted, usable), opencv=min(threads.opencv, usable), cpus=cpus, nice=threads.nice)

    @classmethod
    def from_wire(cls, wire: Mapping[str, Any]) -> ThreadPlan:
        """Restore a plan from ``dataclasses.asdict``."""
        cpus = wire["cpus"]
        return cls(**{**wire, "cpus": None if cpus is None else tuple(cpus)})

    def environment(self) -> dict[str, str]:
        """Return variables for the child's environment.

        Waiting OpenMP threads sleep instead of spinning, which would use up a CPU quota and disturb other processes.
        """
        return {**dict.fromkeys(_POOL_VARIABLES, str(self.inference)), **_ONE_THREAD, "OMP_WAIT_POLICY": "PASSIVE"}

    def apply_to_process(self) -> None:
        """Set affinity and niceness of this process; call it before numeric libraries load.

        Refusals (offline CPU, niceness without permission, unsupported platform) are ignored; :func:`effective` reports
        what is in force.
        """
        if self.cpus is not None:
            with suppress(OSError, AttributeError):
                os.sched_setaffinity(0, self.cpus)
        if self.nice:
            with suppress(OSError, AttributeError):
                os.nice(self.nice)

    def apply_to_opencv(self) -> None:
        """Set OpenCV's threads, for which there is no environment variable."""
        import_module("cv2").setNumThreads(self.opencv)


def effective(inference: int | None) -> dict[str, Any]:
    """Return the settings in effect in this process, as reported by libraries and kernel.

    Args:
        inference: number of threads that the engine reports; None if it does not.
    """
    return {
        "inference": inference,
        "opencv": import_module("cv2").getNumThreads(),
        "cpus": list(available_cpus()),
        "nice": os.getpriority(os.PRIO_PROCESS, 0) if hasattr(os, "getpriority") else 0,
    }


def _count_allowed(cpus: tuple[int, ...], allowed: tuple[int, ...]) -> int:
    """Return the number of *cpus*, all of which must be *allowed*."""
    forbidden = sorted(set(cpus) - set(allowed))
    if forbidden:
        raise ConfigError(
            f"processors {forbidden} cannot be used here; choose from {list(allowed)}", key="threads.cpus"
        )
    return len(set(cpus))
