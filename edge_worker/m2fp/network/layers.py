"""Building blocks that more than one part of the network uses."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

# Sine position embedding as published: base of the geometric series of wavelengths, and the guard of the division.
_TEMPERATURE = 10000.0
_EPSILON = 1e-6


class ConvNorm(nn.Conv2d):
    """Convolution without bias, its normalisation (child ``norm``) and, where asked for, ReLU."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        norm: nn.Module,
        *,
        stride: int = 1,
        dilation: int = 1,
        groups: int = 1,
        relu: bool = False,
    ) -> None:
        """Padding keeps the size at stride 1; *norm* takes *out_channels*."""
        padding = dilation * (kernel_size // 2)
        super().__init__(in_channels, out_channels, kernel_size, stride, padding, dilation, groups, bias=False)
        self.norm = norm
        self.relu = relu

    def forward(self, x: Tensor) -> Tensor:
        """(B, in, H, W) → (B, out, H/stride, W/stride)."""
        x = self.norm(super().forward(x))
        return functional.relu(x) if self.relu else x


def channels_first(tokens: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Project tokens (B, N, in) by *weight* (out, in) and transpose the result: (B, out, N).

    As a convolution: engines compute it channels last and put it into order with their tuned reorder, in a fraction of
    the time that a transposition takes.
    """
    image = tokens.transpose(1, 2)[:, :, None]  # (B, in, 1, N)
    return functional.conv2d(image, weight[:, :, None, None], bias)[:, :, 0]


def resize(x: Tensor, like: Tensor) -> Tensor:
    """Bilinear resize (align_corners False, no antialiasing) of (B, C, h, w) to the height and width of *like*."""
    return functional.interpolate(x, size=like.shape[-2:], mode="bilinear", align_corners=False)


def sine_positions(x: Tensor, channels: int) -> Tensor:
    """Sine position embedding of the map *x* (B, C, h, w) → (1, h·w, *channels*), y before x.

    Coordinates count 1…n, are divided by n + 1e-6 and scaled by 2π (Mask2Former, section 3.2.1, after DETR).
    """
    height, width = x.shape[-2:]
    wavelengths = _wavelengths(channels // 2, x)
    rows = _waves(height, wavelengths)[:, None, :]  # (h, 1, channels/2)
    columns = _waves(width, wavelengths)[None, :, :]  # (1, w, channels/2)
    both = torch.cat([rows.expand(-1, width, -1), columns.expand(height, -1, -1)], dim=-1)  # (h, w, channels)
    return both.flatten(0, 1)[None].to(x.dtype)  # (1, h·w, channels)


def _wavelengths(features: int, like: Tensor) -> Tensor:
    """Wavelength of each of the *features* of one axis; a sine and a cosine share one."""
    index = torch.arange(features, dtype=torch.float32, device=like.device)
    exponent = 2 * torch.div(index, 2, rounding_mode="floor") / features
    return torch.pow(torch.full_like(exponent, _TEMPERATURE), exponent)


def _waves(length: int, wavelengths: Tensor) -> Tensor:
    """(length, features): sine on even and cosine on odd features, at the positions 1…length."""
    position = torch.arange(1, length + 1, dtype=torch.float32, device=wavelengths.device)
    angle = (position * (2 * math.pi) / (length + _EPSILON))[:, None] / wavelengths  # (length, features)
    pairs = torch.stack([angle[:, 0::2].sin(), angle[:, 1::2].cos()], dim=-1)  # (length, features/2, 2)
    return pairs.flatten(1)
