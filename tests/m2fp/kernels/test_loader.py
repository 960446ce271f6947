from __future__ import annotations

import pytest

from edge_worker.m2fp.kernels.loader import KERNELS, WITHOUT, load_kernel


@pytest.mark.parametrize("kernel", KERNELS)
def test_a_kernel_can_be_gone_without(kernel: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Named in the environment it is as if it had not been built; the others stay as they are."""
    others = set(KERNELS) - {kernel}
    built = {other for other in others if load_kernel(other) is not None}
    monkeypatch.setenv(WITHOUT, f"{kernel},another")
    assert load_kernel(kernel) is None
    assert {other for other in others if load_kernel(other) is not None} == built
