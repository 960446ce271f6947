"""How many model processes `threads.processes: auto` makes, and why."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from edge_worker.config import Config, ModelConfig, MqttConfig, ThreadsConfig
from edge_worker.ops.allowance import CpuAllowance
from edge_worker.pool.process_count import process_count

if TYPE_CHECKING:
    from pathlib import Path

FOUR = CpuAllowance((0, 1, 2, 3), None)
PLENTY_MB = 100_000.0


def _config(path: str = "builtin:m2fp-lite", **threads: Any) -> Config:  # noqa: ANN401 - keys of the section
    settings = ThreadsConfig.model_validate({"processes": "auto", **threads})
    return Config(mqtt=MqttConfig(host="localhost"), model=ModelConfig(path=path), threads=settings)


@pytest.mark.parametrize(
    ("threads", "allowance", "free_mb", "count"),
    [
        ({}, FOUR, PLENTY_MB, 4),
        ({}, FOUR, None, 4),
        ({}, CpuAllowance((0, 1, 2, 3), 2.5), PLENTY_MB, 2),
        ({"cpus": (1, 2)}, FOUR, PLENTY_MB, 2),
        ({"inference": 2}, FOUR, PLENTY_MB, 2),
        ({"inference": 8}, FOUR, PLENTY_MB, 1),
        ({}, FOUR, 1000.0, 2),
        ({}, FOUR, 100.0, 1),
        ({}, CpuAllowance(tuple(range(64)), None), PLENTY_MB, 8),
        ({"processes": 3}, FOUR, 100.0, 3),
    ],
)
def test_processors_and_memory_decide(
    threads: dict[str, Any], allowance: CpuAllowance, free_mb: float | None, count: int
) -> None:
    """For a light model one process for each processor, within half of the free memory; a number is taken as it is."""
    found = process_count(_config(**threads), allowance, free_mb)
    assert found.count == count
    assert found.reason


def test_a_large_model_has_one_process(tmp_path: Path) -> None:
    """It hardly gains from more, and each has its own copy; the reason says so."""
    with (tmp_path / "model.onnx").open("wb") as stream:
        stream.truncate(250_000_000)
    found = process_count(_config(str(tmp_path)), FOUR, PLENTY_MB)
    assert (found.count, "a model of 250 MB" in found.reason) == (1, True)
