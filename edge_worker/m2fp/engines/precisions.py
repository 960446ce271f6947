"""Precisions that OpenVINO can run a model in, and what each asks of the processor."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from edge_worker.m2fp.directory import is_quantised

if TYPE_CHECKING:
    from collections.abc import Collection

SPLIT = "bf16x3"
"""Large products of f32 by three products of bf16, the rest in f32; the capability of it is called the same."""

# f32, then the fastest first. Behind a plus: what everything is computed in that is not quantised.
_PRECISIONS = ("f32", "int8+bf16", "bf16", "int8+f32", SPLIT, "f16")

# The capability that is needed, as OpenVINO names it.
_CAPABILITY = {"f32": "FP32", "bf16": "BF16", "f16": "FP16", SPLIT: SPLIT}

# Instruction sets that add products of bytes without saturating in between: /proc/cpuinfo, x86-64 and aarch64. On other
# processors int8 is hardly faster, and not what it was found faithful with.
_EXACT_INT8 = frozenset({"avx512_vnni", "avx_vnni", "amx_int8", "i8mm"})


def network_precision(precision: str) -> str:
    """What everything is computed in that is neither quantised nor split, as OpenVINO calls it."""
    return "f32" if precision == SPLIT else precision.rpartition("+")[2]


def offered(capabilities: Collection[str], cpuinfo: Path = Path("/proc/cpuinfo")) -> tuple[str, ...]:
    """The precisions for a processor of these *capabilities* and the flags in *cpuinfo*."""
    return tuple(
        precision
        for precision in _PRECISIONS
        if _CAPABILITY[precision.rpartition("+")[2]] in capabilities
        and (not is_quantised(precision) or _has_exact_int8(cpuinfo))
    )


def _has_exact_int8(cpuinfo: Path) -> bool:
    try:
        words = cpuinfo.read_text(encoding="utf-8").split()
    except OSError:
        return False
    return not _EXACT_INT8.isdisjoint(words)
