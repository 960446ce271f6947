"""Which precisions a processor is offered."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from edge_worker.m2fp.engines.precisions import offered

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("flags", "capabilities", "expected"),
    [
        ("avx2 fma", ("FP32", "INT8"), ("f32",)),
        ("avx2 avx_vnni", ("FP32", "INT8"), ("f32", "int8+f32")),
        ("avx512_vnni avx512_bf16", ("FP32", "BF16", "INT8"), ("f32", "int8+bf16", "int8+f32", "bf16")),
        ("avx512_vnni amx_bf16", ("FP32", "BF16", "INT8"), ("f32", "int8+bf16", "bf16", "int8+f32")),
        (
            "avx512_vnni amx_bf16",
            ("FP32", "BF16", "INT8", "bf16x3"),
            ("f32", "int8+bf16", "bf16", "int8+f32", "bf16x3"),
        ),
        ("asimd fphp", ("FP32", "FP16", "INT8"), ("f32", "f16")),
    ],
)
def test_offered(flags: str, capabilities: tuple[str, ...], expected: tuple[str, ...], tmp_path: Path) -> None:
    """f32 first, then the fastest; int8 only where bytes are multiplied without saturating."""
    (tmp_path / "cpuinfo").write_text(f"processor : 0\nflags\t\t: fpu {flags}\n")
    assert offered(capabilities, tmp_path / "cpuinfo", {}) == expected


def test_an_unknown_processor_is_offered_no_int8(tmp_path: Path) -> None:
    """Where the flags cannot be read, nothing is assumed."""
    assert offered(("FP32", "BF16"), tmp_path / "missing", {}) == ("f32", "bf16")


@pytest.mark.parametrize(
    ("limit", "expected"),
    [
        ("AVX2", ("f32",)),
        ("AVX2_VNNI", ("f32", "int8+f32")),
        ("AVX512_CORE", ("f32",)),
        ("AVX512_CORE_VNNI", ("f32", "int8+f32")),
        ("avx512_core_bf16", ("f32", "int8+bf16", "int8+f32", "bf16")),
        ("AVX512_CORE_FP16", ("f32", "int8+bf16", "int8+f32", "bf16", "f16")),
        ("AVX512_CORE_AMX", ("f32", "int8+bf16", "bf16", "int8+f32", "bf16x3", "f16")),
        ("ALL", ("f32", "int8+bf16", "bf16", "int8+f32", "bf16x3", "f16")),
    ],
)
def test_what_is_offered_follows_what_the_engine_may_use(limit: str, expected: tuple[str, ...], tmp_path: Path) -> None:
    """OpenVINO names what the CPU has: held to less, its bf16 would end the process, or take seconds a frame."""
    (tmp_path / "cpuinfo").write_text("flags\t\t: avx512_vnni amx_bf16\n")
    capabilities = ("FP32", "BF16", "FP16", "INT8", "bf16x3")
    assert offered(capabilities, tmp_path / "cpuinfo", {"ONEDNN_MAX_CPU_ISA": limit}) == expected
