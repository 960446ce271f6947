"""Makes EfficientNet-Lite0 cheaper to train on CPUs: frozen and folded BatchNorms, expensive convolutions in f32.

In torch, the backward pass of depthwise convolutions with stride 2 or 5×5 kernels takes five to ten times as long in
bf16 as in f32.
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
    """A :class:`SameConv` whose BatchNorm has fixed statistics; weights, scales and offsets are trained."""

    def forward(self, x: Tensor) -> Tensor:
        """Compute the same as :class:`SameConv` in evaluation mode."""
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
    """Replace the convolutions of an EfficientNet-Lite0 by folded ones in place; other backbones are not changed."""
    if isinstance(backbone, EfficientNetLite):
        for module in backbone.modules():
            if isinstance(module, SameConv):
                module.__class__ = FoldedConv


def freeze_early(backbone: EfficientNetLite) -> None:
    """Freeze the layers up to stride 4: they detect edges, and take a third of the backward pass."""
    for layers in (backbone.stem, backbone.get_submodule("res2")):
        layers.requires_grad_(requires_grad=False)
