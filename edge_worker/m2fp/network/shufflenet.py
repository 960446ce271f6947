"""ShuffleNetV2 (Ma et al., arXiv 1807.11164), a light backbone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional

from edge_worker.m2fp.network.backbone import Backbone
from edge_worker.m2fp.network.layers import ConvNorm

if TYPE_CHECKING:
    from edge_worker.m2fp.network_configuration import ShuffleNetConfig

_STEM_STRIDE = 4


def _conv(in_channels: int, out_channels: int, *, relu: bool = True) -> ConvNorm:
    return ConvNorm(in_channels, out_channels, 1, nn.BatchNorm2d(out_channels), relu=relu)


def _depthwise(channels: int, stride: int) -> ConvNorm:
    return ConvNorm(channels, channels, 3, nn.BatchNorm2d(channels), stride=stride, groups=channels)


class Unit(nn.Module):
    """Basic unit (figure 3c): every other channel passes through, the rest are convolved."""

    def __init__(self, channels: int) -> None:
        """Use *channels* for input and output."""
        super().__init__()
        half = channels // 2
        self.main = nn.Sequential(_conv(half, half), _depthwise(half, 1), _conv(half, half))

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, h, w) → (B, C, h, w)."""
        return torch.cat([x[:, 0::2], self.main(x[:, 1::2])], dim=1)


class DownUnit(nn.Module):
    """Downsampling unit (figure 3d): both branches process all channels."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        """Take *out_channels* - *in_channels* channels from the main branch, the rest from the depthwise branch."""
        super().__init__()
        half, rest = out_channels // 2, out_channels - in_channels
        self.main = nn.Sequential(_conv(in_channels, half), _depthwise(half, 2), _conv(half, rest))
        self.side = nn.Sequential(_depthwise(in_channels, 2), _conv(in_channels, in_channels))

    def forward(self, x: Tensor) -> Tensor:
        """(B, in, h, w) → (B, out, h/2, w/2)."""
        return torch.cat([self.side(x), self.main(x)], dim=1)


class ShuffleNet(Backbone):
    """Stem and three stages; ``res2`` is the pooled stem, ``res3`` to ``res5`` are the stages."""

    def __init__(self, config: ShuffleNetConfig) -> None:
        """Use the channels and numbers of units of *config*."""
        super().__init__(config.out_features)
        self.stem = ConvNorm(3, config.stem_channels, 3, nn.BatchNorm2d(config.stem_channels), stride=2, relu=True)
        self.res2 = nn.Identity()
        self.channels["res2"], self.strides["res2"] = config.stem_channels, _STEM_STRIDE
        in_channels = config.stem_channels
        for number, (channels, units) in enumerate(zip(config.channels, config.units, strict=True), start=3):
            rest = [Unit(channels) for _ in range(units - 1)]
            self.add_module(f"res{number}", nn.Sequential(DownUnit(in_channels, channels), *rest))
            self.channels[f"res{number}"], self.strides[f"res{number}"] = channels, 1 << number
            in_channels = channels

    def start(self, images: Tensor) -> Tensor:
        """(B, 3, H, W) → (B, stem channels, H/4, W/4)."""
        return functional.max_pool2d(super().start(images), kernel_size=3, stride=2, padding=1)
