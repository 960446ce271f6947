"""Properties of a machine that determine its speed, without its name; and limits on the instruction set."""

from __future__ import annotations

import importlib.metadata
import platform
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from edge_worker.common.errors import EdgeWorkerError
from edge_worker.common.files import text_of
from edge_worker.m2fp.kernels.loader import loaded_kernels
from edge_worker.ops.allowance import CpuAllowance

if TYPE_CHECKING:
    from collections.abc import Mapping

# Instruction sets by which engines choose their kernels, as named in /proc/cpuinfo (x86-64, then aarch64).
_FLAGS = ("avx2", "fma", "avx512f", "avx512_vnni", "avx_vnni", "avx512_bf16", "avx512_fp16", "amx_bf16", "amx_int8")
_ARM_FLAGS = ("asimd", "asimddp", "bf16", "i8mm", "sve")
_LIBRARIES = ("openvino", "onnxruntime", "torch", "numpy", "opencv-python-headless", "pillow")


def machine() -> dict[str, Any]:
    """Return instruction sets, CPUs, quota, memory, kernels and versions."""
    allowance = CpuAllowance.read()
    return {
        "architecture": platform.machine(),
        "flags": cpu_flags(text_of(Path("/proc/cpuinfo"))),
        "processors": len(allowance.cpus),
        "quota": allowance.quota,
        "memory_gb": _memory_gb(text_of(Path("/proc/meminfo"))),
        "load": _load(text_of(Path("/proc/loadavg"))),
        "python": platform.python_version(),
        "kernels": list(loaded_kernels()),
        "libraries": _versions(),
    }


def cpu_flags(cpuinfo: str) -> list[str]:
    """Return the relevant instruction sets of the first processor in ``/proc/cpuinfo``."""
    lines = (line.partition(":") for line in cpuinfo.splitlines())
    found = next((set(flags.split()) for key, _, flags in lines if key.strip() in {"flags", "Features"}), set())
    return [flag for flag in (*_FLAGS, *_ARM_FLAGS) if flag in found]


def _memory_gb(meminfo: str) -> float | None:
    total = next((line.split()[1] for line in meminfo.splitlines() if line.startswith("MemTotal:")), None)
    return None if total is None else round(int(total) * 1024 / 1e9, 1)


def _load(loadavg: str) -> float | None:
    """Return the one-minute load average: it shows whether others used the machine during the measurement."""
    return float(loadavg.split(maxsplit=1)[0]) if loadavg else None


def _versions() -> dict[str, str]:
    found = {}
    for name in _LIBRARIES:
        with suppress(importlib.metadata.PackageNotFoundError):
            found[name] = importlib.metadata.version(name)
    return found


class Isa(NamedTuple):
    """Features that the processor must have, and environment variables that allow no others.

    oneDNN, OpenVINO and our kernels obey the first variable, PyTorch's own kernels the second, MKL the third.
    """

    needs: frozenset[str]
    environment: Mapping[str, str]


def _x86(needs: set[str], onednn: str, aten: str) -> Isa:
    limits = {"ONEDNN_MAX_CPU_ISA": onednn, "ATEN_CPU_CAPABILITY": aten, "MKL_ENABLE_INSTRUCTIONS": aten.upper()}
    return Isa(frozenset(needs), limits)


ISAS: Final[Mapping[str, Isa]] = {
    "avx2": _x86({"avx2", "fma"}, "AVX2", "avx2"),
    "avx2-vnni": _x86({"avx2", "fma", "avx_vnni"}, "AVX2_VNNI", "avx2"),
    "avx512": _x86({"avx512f", "avx512_vnni"}, "AVX512_CORE_VNNI", "avx512"),
    "amx": _x86({"amx_bf16", "amx_int8"}, "AVX512_CORE_AMX", "avx512"),
    "neon": Isa(frozenset({"asimd"}), {}),
}


def held_to(name: str, cpuinfo: Path = Path("/proc/cpuinfo")) -> Mapping[str, str]:
    """Return the environment variables that limit a process to the instruction set *name*.

    Raises:
        EdgeWorkerError: this processor does not have it.
    """
    isa = ISAS[name]
    missing = isa.needs.difference(cpu_flags(text_of(cpuinfo)))
    if missing:
        raise EdgeWorkerError(f"--isa {name}: this processor has no {', '.join(sorted(missing))}")
    return isa.environment
