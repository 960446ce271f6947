"""Instruction sets that everything in a bench is held to: the engine, our kernels, and the published pipeline."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from edge_worker.common.errors import EdgeWorkerError
from edge_worker.tools.bench.machine import cpu_flags

if TYPE_CHECKING:
    from collections.abc import Mapping


class Isa(NamedTuple):
    """Features that the processor must have, and the environment that allows no others.

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
    """Return the environment that holds a process to the instruction set *name*.

    Raises:
        EdgeWorkerError: this processor does not have it.
    """
    isa = ISAS[name]
    missing = isa.needs.difference(cpu_flags(cpuinfo.read_text(encoding="utf-8")) if cpuinfo.exists() else ())
    if missing:
        raise EdgeWorkerError(f"--isa {name}: this processor has no {', '.join(sorted(missing))}")
    return isa.environment
