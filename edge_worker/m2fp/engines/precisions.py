"""Precisions that OpenVINO can run a model in, and the CPU features each requires."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from edge_worker.m2fp.kernels.loader import isa_limit
from edge_worker.m2fp.manifest import is_quantised

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

SPLIT = "bf16x3"
"""Large f32 matrix products as three bf16 products each, the rest in f32; the capability has the same name."""

# f32, then the fastest first. After the plus: the precision of the layers that are not quantised.
_PRECISIONS = ("f32", "int8+bf16", "bf16", "int8+f32", SPLIT, "f16")
# AVX-512's bf16 instructions double the rate of f32, its int8 ones quadruple it; AMX's bf16 is faster than both.
_PRECISIONS_AVX512 = ("f32", "int8+bf16", "int8+f32", "bf16", "f16")

# Required capability, in OpenVINO's terms.
_CAPABILITY = {"f32": "FP32", "bf16": "BF16", "f16": "FP16", SPLIT: SPLIT}

# Flags in /proc/cpuinfo (x86-64, aarch64) of instructions that accumulate int8 products without saturation. On other
# CPUs int8 is hardly faster, and its results differ from those the gate measured.
_EXACT_INT8 = frozenset({"avx512_vnni", "avx_vnni", "amx_int8", "i8mm"})


_ALL = frozenset({"int8", "bf16", "f16", "amx"})
# Features by value of oneDNN's ISA limit; x86-64, oldest first.
_WITHIN = {
    **dict.fromkeys(("SSE41", "AVX", "AVX2", "AVX512_CORE"), frozenset[str]()),
    **dict.fromkeys(("AVX2_VNNI", "AVX2_VNNI_2", "AVX512_CORE_VNNI"), frozenset({"int8"})),
    "AVX512_CORE_BF16": frozenset({"int8", "bf16"}),
    **dict.fromkeys(("AVX512_CORE_FP16", "AVX10_1_512"), frozenset({"int8", "bf16", "f16"})),
}


def _allowed(environ: Mapping[str, str]) -> frozenset[str]:
    """Return the CPU features allowed by the ISA limit; OpenVINO reports those of the CPU and emulates the rest."""
    return _WITHIN.get(isa_limit(environ)[1], _ALL)


def network_precision(precision: str) -> str:
    """Return OpenVINO's name for the precision of everything neither quantised nor split."""
    return "f32" if precision == SPLIT else precision.rpartition("+")[2]


def offered(
    capabilities: Collection[str],
    cpuinfo: Path = Path("/proc/cpuinfo"),
    environ: Mapping[str, str] = os.environ,
) -> tuple[str, ...]:
    """Return the precisions for a CPU with *capabilities* and the flags in *cpuinfo*, within the limit in *environ*."""
    allowed, flags = _allowed(environ), _flags(cpuinfo)
    has_amx = "amx" in allowed and "amx_bf16" in flags
    by_speed = _PRECISIONS_AVX512 if "avx512_vnni" in flags and not has_amx else _PRECISIONS
    return tuple(
        precision
        for precision in by_speed
        if _CAPABILITY[precision.rpartition("+")[2]] in capabilities
        and _needs(precision) <= allowed
        and (not is_quantised(precision) or not _EXACT_INT8.isdisjoint(flags))
    )


def _needs(precision: str) -> frozenset[str]:
    """Return the CPU features that *precision* requires."""
    rest = precision.rpartition("+")[2]
    return frozenset({*({"int8"} if is_quantised(precision) else ()), {SPLIT: "amx"}.get(rest, rest)}) - {"f32"}


def _flags(cpuinfo: Path) -> frozenset[str]:
    """Return the words in *cpuinfo*, the names of CPU features among them; empty if it cannot be read."""
    try:
        return frozenset(cpuinfo.read_text(encoding="utf-8").split())
    except OSError:
        return frozenset()
