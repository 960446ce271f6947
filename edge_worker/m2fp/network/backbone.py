"""Backbones (image → feature maps by name): the base class and the published ResNet."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from torch import Tensor, nn
from torch.nn import functional

from edge_worker.m2fp.network.layers import ConvNorm

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edge_worker.m2fp.network_configuration import ResNetConfig

# Number of bottleneck blocks in res2 to res5 by depth (He et al., arXiv 1512.03385, table 1).
_BLOCKS = {50: (3, 4, 6, 3), 101: (3, 4, 23, 3), 152: (3, 8, 36, 3)}

_STEM_STRIDE = 4


class Backbone(nn.Module):
    """Base of backbones: a stem, and the stages that subclasses add under the names of their maps."""

    def __init__(self, out_features: Sequence[str]) -> None:
        """Create a backbone without stages; :meth:`forward` returns the maps named in *out_features*."""
        super().__init__()
        self.out_features = out_features
        self.channels: dict[str, int] = {}
        self.strides: dict[str, int] = {}

    def __call__(self, images: Tensor) -> dict[str, Tensor]:
        """(B, 3, H, W) → {name: (B, channels[name], H/strides[name], W/strides[name])}."""
        return cast("dict[str, Tensor]", super().__call__(images))

    def start(self, images: Tensor) -> Tensor:
        """Run the layers before the stages."""
        return cast("Tensor", self.get_submodule("stem")(images))

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """As :meth:`__call__`; H and W are multiples of 32."""
        x = self.start(images)
        maps = {}
        for name in self.channels:
            x = maps[name] = cast("Tensor", self.get_submodule(name)(x))
        return {name: maps[name] for name in self.out_features}


class Stem(nn.Module):
    """Three 3×3 convolutions and a max-pooling: (B, 3, H, W) → (B, out, H/4, W/4) (DeepLab's stem)."""

    def __init__(self, out_channels: int) -> None:
        """Create the stem; the first two convolutions have half of *out_channels*."""
        super().__init__()
        half = out_channels // 2
        self.conv1 = ConvNorm(3, half, 3, nn.BatchNorm2d(half), stride=2, relu=True)
        self.conv2 = ConvNorm(half, half, 3, nn.BatchNorm2d(half), relu=True)
        self.conv3 = ConvNorm(half, out_channels, 3, nn.BatchNorm2d(out_channels), relu=True)

    def forward(self, x: Tensor) -> Tensor:
        """(B, 3, H, W) → (B, out, H/4, W/4)."""
        x = self.conv3(self.conv2(self.conv1(x)))
        return functional.max_pool2d(x, kernel_size=3, stride=2, padding=1)


class Bottleneck(nn.Module):
    """1×1, 3×3, 1×1 with a residual; a projection shortcut where the number of channels changes."""

    def __init__(
        self, in_channels: int, out_channels: int, width: int, config: ResNetConfig, *, stride: int, dilation: int
    ) -> None:
        """Use *width* inner channels; the *stride* is on the 3×3 convolution unless ``stride_in_1x1``."""
        super().__init__()
        outer, inner = (stride, 1) if config.stride_in_1x1 else (1, stride)
        self.conv1 = ConvNorm(in_channels, width, 1, nn.BatchNorm2d(width), stride=outer, relu=True)
        self.conv2 = ConvNorm(
            width,
            width,
            3,
            nn.BatchNorm2d(width),
            stride=inner,
            dilation=dilation,
            groups=config.num_groups,
            relu=True,
        )
        self.conv3 = ConvNorm(width, out_channels, 1, nn.BatchNorm2d(out_channels))
        self.shortcut = (
            ConvNorm(in_channels, out_channels, 1, nn.BatchNorm2d(out_channels), stride=stride)
            if in_channels != out_channels
            else nn.Identity()
        )

    def forward(self, x: Tensor) -> Tensor:
        """(B, in, h, w) → (B, out, h/stride, w/stride)."""
        return functional.relu(self.conv3(self.conv2(self.conv1(x))) + self.shortcut(x))


class ResNet(Backbone):
    """ResNet-50/101/152 with the DeepLab stem and optional dilation in res4 and res5."""

    def __init__(self, config: ResNetConfig) -> None:
        """Build the stages up to the deepest of ``out_features``."""
        super().__init__(config.out_features)
        self.stem = Stem(config.stem_out_channels)
        in_channels, stride = config.stem_out_channels, _STEM_STRIDE
        for number in range(2, int(max(config.out_features)[-1]) + 1):
            name, out_channels = f"res{number}", config.res2_out_channels << (number - 2)
            step = _stage_stride(number, config)
            self.add_module(name, _stage(number, in_channels, out_channels, step, config))
            in_channels, stride = out_channels, stride * step
            self.channels[name], self.strides[name] = out_channels, stride


def _dilation(number: int, config: ResNetConfig) -> int:
    return {4: config.res4_dilation, 5: config.res5_dilation}.get(number, 1)


def _stage_stride(number: int, config: ResNetConfig) -> int:
    """Return 2, or 1 in res2 (the stem pools already) and in dilated stages."""
    return 1 if number == 2 or _dilation(number, config) > 1 else 2  # noqa: PLR2004  res2 is a name


def _stage(number: int, in_channels: int, out_channels: int, stride: int, config: ResNetConfig) -> nn.Sequential:
    width = (config.num_groups * config.width_per_group) << (number - 2)
    count = _BLOCKS[config.depth][number - 2]
    grid = config.res5_multi_grid if number == 5 else (1,) * count  # noqa: PLR2004  res5 is a name
    blocks = [
        Bottleneck(
            out_channels if index else in_channels,
            out_channels,
            width,
            config,
            stride=1 if index else stride,
            dilation=_dilation(number, config) * grid[index],
        )
        for index in range(count)
    ]
    return nn.Sequential(*blocks)
