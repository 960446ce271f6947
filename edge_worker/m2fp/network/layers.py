"""Building blocks shared by several parts of the network."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

# Sine position embedding as published: base of the wavelengths, and the epsilon of the division.
_TEMPERATURE = 10000.0
_EPSILON = 1e-6


class ConvNorm(nn.Conv2d):
    """Convolution without bias, its normalisation (child ``norm``) and optional ReLU."""

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
        """Pad to keep the size at stride 1; *norm* takes *out_channels*."""
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

    Computed as a convolution: engines run it channels last and use their tuned reorder, which is much faster than a
    transpose.
    """
    image = tokens.transpose(1, 2)[:, :, None]  # (B, in, 1, N)
    return functional.conv2d(image, weight[:, :, None, None], bias)[:, :, 0]


def resize(x: Tensor, like: Tensor) -> Tensor:
    """Resize (B, C, h, w) bilinearly (align_corners False, no antialiasing) to the height and width of *like*."""
    return functional.interpolate(x, size=like.shape[-2:], mode="bilinear", align_corners=False)


def sine_positions(x: Tensor, channels: int) -> Tensor:
    """Return the sine position embedding of the map *x* (B, C, h, w): (1, h·w, *channels*), y before x.

    Coordinates run from 1 to n, are divided by n + 1e-6 and scaled by 2π (Mask2Former, section 3.2.1, after DETR).
    """
    height, width = x.shape[-2:]
    wavelengths = _wavelengths(channels // 2, x)
    rows = _waves(height, wavelengths)[:, None, :]  # (h, 1, channels/2)
    columns = _waves(width, wavelengths)[None, :, :]  # (1, w, channels/2)
    both = torch.cat([rows.expand(-1, width, -1), columns.expand(height, -1, -1)], dim=-1)  # (h, w, channels)
    return both.flatten(0, 1)[None].to(x.dtype)  # (1, h·w, channels)


def _wavelengths(features: int, like: Tensor) -> Tensor:
    """Return the wavelength of each of the *features* of one axis; sine and cosine pairs share one."""
    index = torch.arange(features, dtype=torch.float32, device=like.device)
    exponent = 2 * torch.div(index, 2, rounding_mode="floor") / features
    return torch.pow(torch.full_like(exponent, _TEMPERATURE), exponent)


def _waves(length: int, wavelengths: Tensor) -> Tensor:
    """Return (length, features): sine on even, cosine on odd features, at positions 1…length."""
    position = torch.arange(1, length + 1, dtype=torch.float32, device=wavelengths.device)
    angle = (position * (2 * math.pi) / (length + _EPSILON))[:, None] / wavelengths  # (length, features)
    pairs = torch.stack([angle[:, 0::2].sin(), angle[:, 1::2].cos()], dim=-1)  # (length, features/2, 2)
    return pairs.flatten(1)
