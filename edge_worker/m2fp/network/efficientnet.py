"""EfficientNet-Lite0 (Tan and Le, arXiv 1905.11946, without squeeze and excitation): the backbone of light models."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, cast

from torch import Tensor, nn
from torch.nn import functional

from edge_worker.m2fp.network.backbone import Backbone
from edge_worker.m2fp.network.layers import ConvNorm

if TYPE_CHECKING:
    from edge_worker.m2fp.network_configuration import EfficientNetLiteConfig

_STEM_CHANNELS = 32
_EPSILON = 1e-3  # of BatchNorm, as published


class _Stage(NamedTuple):
    """A sequence of equal blocks; only the first applies the stride and changes the number of channels."""

    kernel: int
    stride: int
    expansion: int
    channels: int
    blocks: int


# Table 1 of the paper, grouped by output feature map.
_STAGES = {
    "res2": (_Stage(3, 1, 1, 16, 1), _Stage(3, 2, 6, 24, 2)),
    "res3": (_Stage(5, 2, 6, 40, 2),),
    "res4": (_Stage(3, 2, 6, 80, 3), _Stage(5, 1, 6, 112, 3)),
    "res5": (_Stage(5, 2, 6, 192, 4), _Stage(3, 1, 6, 320, 1)),
}


class SameConv(ConvNorm):
    """Convolution with TensorFlow's ``SAME`` padding: at stride 2 one pixel more on the right and bottom."""

    def __init__(
        self, in_channels: int, out_channels: int, kernel_size: int, *, stride: int = 1, groups: int = 1
    ) -> None:
        """Create the convolution with BatchNorm and no activation."""
        norm = nn.BatchNorm2d(out_channels, eps=_EPSILON)
        super().__init__(in_channels, out_channels, kernel_size, norm, stride=stride, groups=groups)
        self.before = (kernel_size - stride) // 2
        self.after = kernel_size - stride - self.before
        self.padding = (0, 0)

    def forward(self, x: Tensor) -> Tensor:
        """(B, in, H, W), H and W multiples of the stride → (B, out, H/stride, W/stride)."""
        if self.after:
            x = functional.pad(x, (self.before, self.after, self.before, self.after))
        return super().forward(x)


class InvertedResidual(nn.Module):
    """MobileNetV2's block: 1×1 expansion, depthwise, 1×1 projection; a residual if the shape is unchanged."""

    def __init__(self, in_channels: int, stage: _Stage, *, stride: int) -> None:
        """Map *in_channels* to the channels of *stage*."""
        super().__init__()
        inner = in_channels * stage.expansion
        self.expand = SameConv(in_channels, inner, 1) if stage.expansion > 1 else None
        self.depthwise = SameConv(inner, inner, stage.kernel, stride=stride, groups=inner)
        self.project = SameConv(inner, stage.channels, 1)
        self.residual = stride == 1 and in_channels == stage.channels

    def forward(self, x: Tensor) -> Tensor:
        """(B, in, h, w) → (B, out, h/stride, w/stride)."""
        inner = x if self.expand is None else functional.relu6(self.expand(x))
        out = cast("Tensor", self.project(functional.relu6(self.depthwise(inner))))
        return x + out if self.residual else out


class EfficientNetLite(Backbone):
    """Stem and up to four groups of blocks, which output the maps ``res2`` to ``res5``."""

    def __init__(self, config: EfficientNetLiteConfig, image_channels: int = 3) -> None:
        """Create the groups up to the deepest of ``out_features``, which :meth:`forward` returns."""
        super().__init__(config.out_features)
        self.stem = SameConv(image_channels, _STEM_CHANNELS, 3, stride=2)
        in_channels = _STEM_CHANNELS
        needed = [(name, stages) for name, stages in _STAGES.items() if name <= max(config.out_features)]
        for number, (name, stages) in enumerate(needed, start=2):
            self.add_module(name, nn.Sequential(*_blocks(in_channels, stages)))
            in_channels = self.channels[name] = stages[-1].channels
            self.strides[name] = 1 << number

    def start(self, images: Tensor) -> Tensor:
        """(B, image_channels, H, W) → (B, 32, H/2, W/2)."""
        return functional.relu6(super().start(images))


def _blocks(in_channels: int, stages: tuple[_Stage, ...]) -> list[InvertedResidual]:
    blocks = []
    for stage in stages:
        for index in range(stage.blocks):
            blocks.append(InvertedResidual(in_channels, stage, stride=1 if index else stage.stride))
            in_channels = stage.channels
    return blocks
