"""What is made of a run's weights before they ship."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from training.export import mean_weights


def test_a_mean_of_networks_keeps_layers_that_one_of_them_lacks() -> None:
    """A layer that was added later stays as it is, and so do counts; the rest is weighted by the shares."""
    weights = {"weight": torch.tensor([1.0, 3.0]), "added": torch.tensor([5.0]), "count": torch.tensor(7)}
    second = {"weight": torch.tensor([3.0, -1.0]), "count": torch.tensor(9)}
    third = {"weight": torch.tensor([5.0, 1.0]), "added": torch.tensor([1.0]), "count": torch.tensor(9)}
    mean = mean_weights(weights, [(second, 0.5)])
    assert {name: value.tolist() for name, value in mean.items()} == {"weight": [2.0, 1.0], "added": [5.0], "count": 7}
    mean = mean_weights(weights, [(second, 0.25), (third, 0.5)])
    assert {name: value.tolist() for name, value in mean.items()} == {"weight": [3.5, 1.0], "added": [5.0], "count": 7}
    assert mean_weights(weights, [])["weight"].tolist() == [1.0, 3.0]
