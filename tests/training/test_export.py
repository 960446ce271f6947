"""What is made of a run's weights before they ship."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from training.export import mean_weights


def test_the_mean_of_two_networks_keeps_what_only_one_has() -> None:
    """A layer that came later stays as it is, and so do counts; of all else each has its share."""
    weights = {"weight": torch.tensor([1.0, 3.0]), "added": torch.tensor([5.0]), "count": torch.tensor(7)}
    others = {"weight": torch.tensor([3.0, -1.0]), "count": torch.tensor(9)}
    mean = mean_weights(weights, others)
    assert {name: value.tolist() for name, value in mean.items()} == {"weight": [2.0, 1.0], "added": [5.0], "count": 7}
    mean = mean_weights(weights, others, share=0.25)
    assert mean["weight"].tolist() == [2.5, 0.0]
