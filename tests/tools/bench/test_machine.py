"""``bench --isa``: engine, kernels and published pipeline held to one instruction set."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from edge_worker.common.errors import EdgeWorkerError
from edge_worker.tools.bench.machine import held_to
from edge_worker.tools.bench.variants import Variant

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def cpuinfo(tmp_path: Path) -> Path:
    """What the kernel tells of a processor with AVX2 and VNNI."""
    file = tmp_path / "cpuinfo"
    file.write_text("processor : 0\nflags\t: fpu fma avx2 avx_vnni\n")
    return file


def test_each_library_is_held_by_its_own_variable(cpuinfo: Path) -> None:
    """oneDNN, OpenVINO and our kernels obey the first, PyTorch the second, MKL the third."""
    assert held_to("avx2-vnni", cpuinfo) == {
        "ONEDNN_MAX_CPU_ISA": "AVX2_VNNI",
        "ATEN_CPU_CAPABILITY": "avx2",
        "MKL_ENABLE_INSTRUCTIONS": "AVX2",
    }


def test_what_the_processor_lacks_is_named(cpuinfo: Path, tmp_path: Path) -> None:
    """A figure of an instruction set that is not there would be one of another."""
    with pytest.raises(EdgeWorkerError, match=r"--isa amx: this processor has no amx_bf16, amx_int8"):
        held_to("amx", cpuinfo)
    with pytest.raises(EdgeWorkerError, match="asimd"):
        held_to("neon", tmp_path / "none")


def test_a_variant_that_is_held_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its process gets the limits beside its own environment, and its name tells them."""
    monkeypatch.setattr("edge_worker.tools.bench.variants.held_to", lambda isa: {"LIMIT": isa})
    held = Variant("openvino f32, 1 thread", (), {"OMP_NUM_THREADS": "1"}, {}).held_to("avx2")
    assert (held.name, held.environment) == (
        "openvino f32, 1 thread, avx2",
        {"OMP_NUM_THREADS": "1", "LIMIT": "avx2"},
    )
