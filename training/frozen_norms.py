"""EfficientNet-Lite0 made cheap to train on CPUs: its BatchNorms frozen and folded, its costly convolutions in f32.

The backward pass of depthwise convolutions with stride 2 or 5×5 kernels takes torch five to ten times as long in bf16
as in f32.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from edge_worker.m2fp.network.efficientnet import EfficientNetLite, SameConv

if TYPE_CHECKING:
    from edge_worker.m2fp.network.backbone import Backbone

_SLOW_KERNEL = 5


class FoldedConv(SameConv):
    """A :class:`SameConv` whose BatchNorm keeps its statistics; weights, scales and offsets still learn."""

    def forward(self, x: Tensor) -> Tensor:
        """As without training."""
        norm = cast("nn.BatchNorm2d", self.norm)
        scale = norm.weight / (cast("Tensor", norm.running_var) + norm.eps).sqrt()
        weight, bias = self.weight * scale[:, None, None, None], norm.bias - cast("Tensor", norm.running_mean) * scale
        if not self._slow_in_bf16:
            return functional.conv2d(self._padded(x), weight, bias, self.stride, groups=self.groups)
        with torch.autocast("cpu", enabled=False):
            return functional.conv2d(self._padded(x.float()), weight, bias, self.stride, groups=self.groups)

    def _padded(self, x: Tensor) -> Tensor:
        return functional.pad(x, (self.before, self.after, self.before, self.after)) if self.after else x

    @property
    def _slow_in_bf16(self) -> bool:
        return self.groups > 1 and (self.kernel_size[0] >= _SLOW_KERNEL or self.stride[0] > 1)


def fold_norms(backbone: Backbone) -> None:
    """Turn the convolutions of an EfficientNet-Lite0 into folded ones, in place; other backbones stay as they are."""
    if isinstance(backbone, EfficientNetLite):
        for module in backbone.modules():
            if isinstance(module, SameConv):
                module.__class__ = FoldedConv


def freeze_early(backbone: EfficientNetLite) -> None:
    """Leave the layers up to stride 4 as ImageNet has made them: they see edges, and cost a third of the backward."""
    for layers in (backbone.stem, backbone.get_submodule("res2")):
        layers.requires_grad_(requires_grad=False)
