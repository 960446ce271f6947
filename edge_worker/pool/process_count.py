"""The number of model processes: ``threads.processes``; ``auto`` chooses it by model, processors and memory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from edge_worker.config import model_directory

if TYPE_CHECKING:
    from pathlib import Path

    from edge_worker.config import Config
    from edge_worker.ops.allowance import CpuAllowance

_MB: Final = 1_000_000
_NETWORKS: Final = ("model.onnx", "pytorch_model.pt")
_LIGHT_MB: Final = 60.0
"""Weights of a light model, at most. Two processes on two processors do 1.6 times the frames of one with 22 MB of
weights, and 1.05 times with 250 MB (measured)."""
_BASE_MB: Final = 170.0
_PER_WEIGHTS: Final = 2.2
"""A process takes the base plus this many times its weights. Measured: 216 MB with 22 MB of weights, 721 with 250."""
_SHARE: Final = 0.5  # of the free memory to use: frames, other shapes and other programs need some, too
_MOST: Final = 8


@dataclass(frozen=True, slots=True)
class ProcessCount:
    """A number of model processes, and why it was chosen."""

    count: int
    reason: str


def process_count(config: Config, allowance: CpuAllowance, free_mb: float | None) -> ProcessCount:
    """Return the number of model processes for *config*, given the CPUs and the free memory (None: unknown)."""
    threads = config.threads
    if threads.processes != "auto":
        return ProcessCount(threads.processes, "as configured")
    weights_mb = _weights_mb(model_directory(config.model.path))
    if weights_mb > _LIGHT_MB:
        return ProcessCount(1, f"a model of {weights_mb:.0f} MB gains next to nothing from more")
    cpus = allowance.usable if threads.cpus is None else min(allowance.usable, len(set(threads.cpus)))
    each = 1 if threads.inference == "auto" else min(threads.inference, cpus)
    by_cpus, process_mb = max(1, cpus // each), _BASE_MB + _PER_WEIGHTS * weights_mb
    by_memory = by_cpus if free_mb is None else max(1, int(_SHARE * free_mb / process_mb))
    count = min(by_cpus, by_memory, _MOST)
    room = "" if free_mb is None else f", {free_mb:.0f} MB free for processes of {process_mb:.0f} MB each"
    return ProcessCount(count, f"a model of {weights_mb:.0f} MB, {cpus} processors at {each} a process{room}")


def _weights_mb(directory: Path) -> float:
    """Return the size in MB of the network in *directory*; 0 if there is none, which loading reports later."""
    sizes = [file.stat().st_size for name in _NETWORKS if (file := directory / name).is_file()]
    return max(sizes, default=0) / _MB
