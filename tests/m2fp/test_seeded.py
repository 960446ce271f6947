"""Seeded checkpoints are the same wherever they are made, and leave no trace in PyTorch's random numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from edge_worker.m2fp.checkpoint import read_state
from edge_worker.m2fp.seeded import tiny_configuration, write_seeded_checkpoint

if TYPE_CHECKING:
    from pathlib import Path


def weights(directory: Path, seed: int) -> dict[str, torch.Tensor]:
    return read_state(write_seeded_checkpoint(directory, tiny_configuration(), seed) / "pytorch_model.pt")


def test_a_seed_decides_all(tmp_path: Path) -> None:
    """The same seed gives the same weights, another seed others."""
    torch.manual_seed(7)
    expected = torch.randn(3)
    torch.manual_seed(7)
    one, same, other = weights(tmp_path / "a", 1), weights(tmp_path / "b", 1), weights(tmp_path / "c", 2)
    assert torch.equal(torch.randn(3), expected)
    assert all(torch.equal(one[name], same[name]) for name in one)
    name = "sem_seg_head.predictor.query_feat.weight"
    assert not torch.equal(one[name], other[name])
