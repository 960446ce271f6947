"""What about a machine decides how fast it is; never its name."""

from __future__ import annotations

import importlib.metadata
import platform
from pathlib import Path
from typing import Any

from edge_worker.common.files import text_of
from edge_worker.m2fp.kernels.loader import loaded_kernels
from edge_worker.ops.allowance import CpuAllowance

# Instruction sets that engines choose their kernels by, as /proc/cpuinfo calls them (x86-64; then aarch64).
_FLAGS = ("avx2", "fma", "avx512f", "avx512_vnni", "avx_vnni", "avx512_bf16", "avx512_fp16", "amx_bf16", "amx_int8")
_ARM_FLAGS = ("asimd", "asimddp", "bf16", "i8mm", "sve")
_LIBRARIES = ("openvino", "onnxruntime", "torch", "numpy", "opencv-python-headless", "pillow")


def machine(root: Path = Path("/")) -> dict[str, Any]:
    """Instruction sets, CPUs, quota, memory, kernels, versions; *root* is where ``proc`` and ``sys`` are found."""
    allowance = CpuAllowance.read(root)
    return {
        "architecture": platform.machine(),
        "flags": cpu_flags(text_of(root / "proc/cpuinfo")),
        "processors": len(allowance.cpus),
        "quota": allowance.quota,
        "memory_gb": _memory_gb(text_of(root / "proc/meminfo")),
        "load": _load(text_of(root / "proc/loadavg")),
        "python": platform.python_version(),
        "kernels": list(loaded_kernels()),
        "libraries": _versions(),
    }


def cpu_flags(cpuinfo: str) -> list[str]:
    """The instruction sets that matter, of those the first processor in ``/proc/cpuinfo`` has."""
    lines = (line.partition(":") for line in cpuinfo.splitlines())
    found = next((set(flags.split()) for key, _, flags in lines if key.strip() in {"flags", "Features"}), set())
    return [flag for flag in (*_FLAGS, *_ARM_FLAGS) if flag in found]


def _memory_gb(meminfo: str) -> float | None:
    total = next((line.split()[1] for line in meminfo.splitlines() if line.startswith("MemTotal:")), None)
    return None if total is None else round(int(total) * 1024 / 1e9, 1)


def _load(loadavg: str) -> float | None:
    """Processes that wanted to run, over the last minute: whether others worked while this was measured."""
    return float(loadavg.split(maxsplit=1)[0]) if loadavg else None


def _versions() -> dict[str, str]:
    found = {name: _version(name) for name in _LIBRARIES}
    return {name: version for name, version in found.items() if version is not None}


def _version(library: str) -> str | None:
    try:
        return importlib.metadata.version(library)
    except importlib.metadata.PackageNotFoundError:
        return None
