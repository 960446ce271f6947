"""Splits person masks that cover two people, by the centres that their pixels predict.

A query often takes two people side by side for one, though their pixels predict two centres. Where the centres inside
a mask form two groups (found by their density, as in mean shift), the mask is divided between the two.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from edge_worker.m2fp.network.layers import resize
from edge_worker.m2fp.network.transformer_decoder import Prediction

# Chosen on rendered training scenes, for a short side of 320 px, which has 40 cells. Lengths are x and y, in cells of
# the map of centres; people stand next to each other rather than above each other.
_KERNEL = (2.25, 3.33)  # standard deviation of the kernel of the density: the unit of distances here
_STEP = (2, 3)  # of the grid on which it is computed
_LEAST_SHARE = 0.15  # of the mask, for each group
_LEAST_CELLS = 6.0

_APART = 1.4  # farther than neighbours on the grid: two neighbours of equal density are one peak
_SLOPE = 2.0  # mask logits per unit of squared distance
_NOBODY = 50.0  # added to the logit of "no object" where there is no second person


class Groups(NamedTuple):
    """The two largest groups of predicted centres inside each mask."""

    found: Tensor  # (B, P) bool: whether there are two
    border: Tensor  # (B, P, h, w) squared distance of the predicted centre from the first group less the second


def split_persons(prediction: Prediction, centres: Tensor, persons: int) -> Prediction:
    """Divide the masks of the last *persons* queries that cover two people.

    Args:
        prediction: class logits (B, Q, classes + 1) and mask logits (B, Q, H, W).
        centres: (B, 2, h, w) the centre of the person at each cell, x and y as fractions of the image.
        persons: number of person queries.

    Returns:
        Logits of Q + *persons* queries. The last ones are the second person of each person query, or "no object".
    """
    classes, masks = prediction.class_logits[:, -persons:], prediction.mask_logits[:, -persons:]
    groups = find_groups(resize(masks, centres) > 0, centres)
    border = _SLOPE * resize(groups.border, masks)
    found = groups.found[..., None, None]
    first, second = (torch.where(found, torch.minimum(masks, side), masks) for side in (-border, border))
    nobody = classes[..., -1:] + torch.where(groups.found, 0.0, _NOBODY)[..., None]
    return Prediction(
        torch.cat([prediction.class_logits, torch.cat([classes[..., :-1], nobody], dim=2)], dim=1),
        torch.cat([prediction.mask_logits[:, :-persons], first, second], dim=1),
    )


def find_groups(inside: Tensor, centres: Tensor) -> Groups:
    """Find the groups of *centres* (B, 2, h, w), fractions of the image, inside each mask: bool (B, P, h, w)."""
    height, width = centres.shape[2:]
    x, y = centres[:, 0].flatten(1) * (width / _KERNEL[0]), centres[:, 1].flatten(1) * (height / _KERNEL[1])  # (B, n)
    columns, rows = (
        torch.arange(0, length, _STEP[axis], dtype=torch.float32, device=x.device) / _KERNEL[axis]
        for axis, length in enumerate((width, height))
    )
    weight = inside.flatten(2).to(x.dtype)  # (B, P, n)
    spread = (weight[:, :, None] * _kernel(rows[:, None] - y[:, None])[:, None]).flatten(1, 2)  # (B, P · rows, n)
    density = torch.unflatten(spread @ _kernel(x[..., None] - columns), 1, (weight.shape[1], -1))
    highest = density >= functional.max_pool2d(density, 3, stride=1, padding=1)  # (B, P, rows, columns)
    density, highest = density.flatten(2), highest.flatten(2)
    points = torch.stack(torch.meshgrid(columns, rows, indexing="xy"), dim=-1).flatten(0, 1)
    first = points[density.argmax(dim=2)]  # (B, P, 2)
    apart = (points - first[:, :, None]).square().sum(dim=3) >= _APART**2
    values, indices = torch.where(highest & apart, density, 0.0).max(dim=2)
    second = points[indices]

    # Relative to the middle between the two: differences of large squares lose their digits in bf16.
    middle, offset = (first + second) / 2, second - first
    along = offset[..., :1] * (x[:, None] - middle[..., :1]) + offset[..., 1:] * (y[:, None] - middle[..., 1:])
    border = 2 * along  # (B, P, n)
    cells, beyond = weight.sum(dim=2), (weight * (border > 0)).sum(dim=2)
    large = torch.minimum(beyond, cells - beyond) >= (_LEAST_SHARE * cells).clamp(min=_LEAST_CELLS)
    return Groups((values > 0) & large, border.reshape(inside.shape))


def _kernel(distance: Tensor) -> Tensor:
    return torch.exp(-distance.square() / 2)
