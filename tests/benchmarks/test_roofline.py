"""The floor under the network's time."""

from __future__ import annotations

from benchmarks.roofline import Roofline


def test_floor() -> None:
    """A multiply-add is two operations; each counts at the rate of what it is computed in."""
    rates = {"f32": 4e11, "bf16": 1e12, "int8": 2e12}
    assert Roofline(rates, 1e10, {"f32": 200_000_000_000}).floor_ms() == 1000.0
    assert Roofline(rates, 1e10, {"int8": 100_000_000_000, "bf16": 50_000_000_000}).floor_ms() == 200.0
