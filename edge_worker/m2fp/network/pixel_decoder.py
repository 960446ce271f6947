"""Pixel decoders: backbone feature maps → mask features and the maps the transformer decoder attends to.

The base class and the published decoder with deformable attention.
"""

from __future__ import annotations

import functools
import math
from typing import TYPE_CHECKING, NamedTuple, cast

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.onnx.operators import shape_as_tensor

from edge_worker.m2fp.network.layers import ConvNorm, channels_first, resize, sine_positions
from edge_worker.m2fp.network_configuration import GROUP_NORM_GROUPS

if TYPE_CHECKING:
    from edge_worker.m2fp.network.backbone import Backbone
    from edge_worker.m2fp.network_configuration import MSDeformAttnConfig

# Sampling points per head and level (Deformable DETR, section 4.1); not configurable in published files.
_POINTS = 4

# The transformer decoder cycles through the three coarsest maps (Mask2Former, section 3.2.2).
MAX_MAPS = 3


class Cues(NamedTuple):
    """What each pixel predicts about the person it belongs to."""

    centres: Tensor  # (B, 2, h, w) the person's centre, x and y as fractions of the image
    sides: Tensor  # (B, 1 + pairs of limbs, h, w) logits: seen from behind; limb on the image's left


class PixelFeatures(NamedTuple):
    """Output of a pixel decoder."""

    mask_features: Tensor  # (B, mask_dim, H/common_stride, W/common_stride)
    maps: list[Tensor]  # (B, map_channels, h, w) each, coarsest first
    cues: Cues | None = None  # with `encoder.person_cues`


class PixelDecoder(nn.Module):
    """Interface of a pixel decoder for the transformer decoder."""

    map_channels: int
    num_maps: int

    def __call__(self, features: dict[str, Tensor]) -> PixelFeatures:
        """Backbone maps by name → mask features and maps."""
        return cast("PixelFeatures", super().__call__(features))


class MSDeformAttn(nn.Module):
    """Multi-scale deformable self-attention (Deformable DETR, section 4.1, equation 3)."""

    def __init__(self, channels: int, heads: int, levels: int) -> None:
        """Create the projections; *heads* must divide *channels*; a token samples 4 points on each of *levels*."""
        super().__init__()
        self.heads, self.levels = heads, levels
        self.sampling_offsets = nn.Linear(channels, heads * levels * _POINTS * 2)
        self.attention_weights = nn.Linear(channels, heads * levels * _POINTS)
        self.value_proj = nn.Linear(channels, channels)
        self.output_proj = nn.Linear(channels, channels)
        self._start()

    def _start(self) -> None:
        """Initialise equal weights and offsets that fan out, one direction per head (Deformable DETR, section A.4)."""
        nn.init.zeros_(self.sampling_offsets.weight)
        nn.init.zeros_(self.attention_weights.weight)
        nn.init.zeros_(self.attention_weights.bias)
        angle = torch.arange(self.heads) * (2 * math.pi / self.heads)
        direction = torch.stack([angle.cos(), angle.sin()], dim=-1)  # (heads, 2)
        direction = direction / direction.abs().amax(dim=-1, keepdim=True)
        steps = torch.arange(1, _POINTS + 1)[:, None]  # (points, 1)
        fan = direction[:, None, None, :] * steps  # (heads, 1, points, 2)
        with torch.no_grad():
            self.sampling_offsets.bias.copy_(fan.expand(-1, self.levels, -1, -1).flatten())

    def forward(self, query: Tensor, source: Tensor, references: Tensor, maps: list[Tensor]) -> Tensor:
        """Attend from *query* to *source*, both (B, N, C); only the sizes of *maps* (B, C, h, w) are used.

        *references* (N, 2) are the cell centres (x, y) of the tokens in [0, 1]². Returns (B, N, C).

        Samples are summed one point at a time: together they would be twelve times the size of the values, and moving
        them takes longer than computing them.
        """
        value = channels_first(source, self.value_proj.weight, self.value_proj.bias)  # (B, C, N)
        offsets, weights = self._points(query)
        sums: list[Tensor] = []
        start = 0
        for level, like in enumerate(maps):
            height, width = like.shape[-2:]
            plane = value[:, :, start : start + height * width].reshape(-1, value.shape[1] // self.heads, height, width)
            sums.append(_sample(plane, offsets[:, :, level], weights[:, :, level], references))
            start = start + height * width
        merged = torch.unflatten(functools.reduce(torch.add, sums), 0, (-1, self.heads)).flatten(1, 2)  # (B, C, N)
        return cast("Tensor", self.output_proj(merged.transpose(1, 2)))

    def _points(self, query: Tensor) -> tuple[Tensor, Tensor]:
        """Return offsets in cells (B, heads, levels, points, N, 2) and weights (B, heads, levels, points, N).

        Both are projections of *query*, computed as one.
        """
        projections = self.sampling_offsets, self.attention_weights
        weight, bias = (torch.cat([getattr(one, name) for one in projections]) for name in ("weight", "bias"))
        both = functional.linear(query, weight, bias).transpose(1, 2)  # (B, heads·levels·points·3, N)
        offsets, scores = torch.split(both, [one.out_features for one in projections], dim=1)
        weights = torch.unflatten(scores, 1, (self.heads, -1)).softmax(2)  # (B, heads, levels·points, N)
        offsets = torch.unflatten(offsets, 1, (self.heads, self.levels, _POINTS, 2)).transpose(-1, -2)
        return offsets, torch.unflatten(weights, 2, (self.levels, _POINTS))


def _sample(plane: Tensor, offsets: Tensor, weights: Tensor, references: Tensor) -> Tensor:
    """Return the weighted sum over the points of one level, (B·heads, C/heads, N).

    *plane* (B·heads, C/heads, h, w), *offsets* (B, heads, points, N, 2) in cells, *weights* (B, heads, points, N).
    """
    cells = shape_as_tensor(plane)[2:].flip(0).to(offsets.dtype)  # (2): w, h
    samples: list[Tensor] = []
    for point in range(_POINTS):
        # location = reference + offset / (w, h); grid_sample expects [-1, 1], so grid = 2·location - 1
        grid = (2 * references - 1) + offsets[:, :, point].flatten(0, 1) * (2 / cells)  # (B·heads, N, 2)
        values = functional.grid_sample(
            plane, grid[:, None], mode="bilinear", padding_mode="zeros", align_corners=False
        )
        samples.append(values[:, :, 0] * weights[:, :, point].flatten(0, 1)[:, None])
    return functools.reduce(torch.add, samples)


class EncoderLayer(nn.Module):
    """Deformable self-attention and a feed-forward network, each with residual and post-norm."""

    def __init__(self, config: MSDeformAttnConfig) -> None:
        """Create the layer with the sizes of *config*."""
        super().__init__()
        channels, hidden = config.conv_dim, config.transformer_dim_feedforward
        self.self_attn = MSDeformAttn(channels, config.transformer_nheads, len(config.transformer_in_features))
        self.norm1 = nn.LayerNorm(channels)
        self.linear1 = nn.Linear(channels, hidden)
        self.linear2 = nn.Linear(hidden, channels)
        self.norm2 = nn.LayerNorm(channels)
        self.dropout = nn.Dropout(config.transformer_dropout)

    def forward(self, x: Tensor, positions: Tensor, references: Tensor, maps: list[Tensor]) -> Tensor:
        """(B, N, C) → (B, N, C); *positions* (1, N, C)."""
        attended = self.self_attn(x + positions, x, references, maps)
        x = self.norm1(x + self.dropout(attended))
        hidden = self.dropout(functional.relu(self.linear1(x)))
        return cast("Tensor", self.norm2(x + self.dropout(self.linear2(hidden))))


class Encoder(nn.Module):
    """Stack of encoder layers; a separate module to match the published tensor names."""

    def __init__(self, config: MSDeformAttnConfig) -> None:
        """Create the layers of *config*."""
        super().__init__()
        self.layers = nn.ModuleList(EncoderLayer(config) for _ in range(config.transformer_enc_layers))

    def forward(self, x: Tensor, positions: Tensor, references: Tensor, maps: list[Tensor]) -> Tensor:
        """(B, N, C) → (B, N, C)."""
        for layer in self.layers:
            x = layer(x, positions, references, maps)
        return x


class DeformableTransformer(nn.Module):
    """Flattens all levels to one sequence, encodes it and splits it into maps again."""

    def __init__(self, config: MSDeformAttnConfig) -> None:
        """Create the encoder and a learned ``level_embed`` per level."""
        super().__init__()
        self.encoder = Encoder(config)
        self.level_embed = nn.Parameter(torch.randn(len(config.transformer_in_features), config.conv_dim))

    def forward(self, maps: list[Tensor]) -> list[Tensor]:
        """Maps (B, C, h, w), coarsest first → maps of the same shapes."""
        tokens = torch.cat([one.permute(0, 2, 3, 1).flatten(1, 2) for one in maps], dim=1)  # (B, N, C)
        positions = torch.cat(
            [sine_positions(one, one.shape[1]) + self.level_embed[level] for level, one in enumerate(maps)], dim=1
        )
        references = torch.cat([_cell_centres(one) for one in maps])  # (N, 2)
        tokens = self.encoder(tokens, positions, references, maps)
        return _split(tokens, maps)


class MSDeformAttnPixelDecoder(PixelDecoder):
    """Deformable encoder on the coarse maps, followed by an FPN down to ``common_stride``."""

    def __init__(self, config: MSDeformAttnConfig, backbone: Backbone) -> None:
        """Use the sizes of *config* and the channels and strides of *backbone*."""
        super().__init__()
        channels, levels = config.conv_dim, list(reversed(config.transformer_in_features))
        finest = min(backbone.strides[name] for name in levels)
        self.levels = levels
        self.input_proj = nn.ModuleList(
            nn.Sequential(nn.Conv2d(backbone.channels[name], channels, 1), _group_norm(channels)) for name in levels
        )
        self.transformer = DeformableTransformer(config)
        steps = max(0, int(math.log2(finest / config.common_stride)))
        self.fpn = list(enumerate(config.in_features[:steps], start=1))[::-1]
        for number, name in self.fpn:
            self.add_module(f"adapter_{number}", ConvNorm(backbone.channels[name], channels, 1, _group_norm(channels)))
            self.add_module(f"layer_{number}", ConvNorm(channels, channels, 3, _group_norm(channels), relu=True))
        self.mask_features = nn.Conv2d(channels, config.mask_dim, 1)
        self.map_channels = channels
        self.num_maps = min(MAX_MAPS, len(levels) + steps)

    def forward(self, features: dict[str, Tensor]) -> PixelFeatures:
        """Backbone maps by name → mask features and the maps of strides 32, 16, 8."""
        projected = [project(features[name]) for project, name in zip(self.input_proj, self.levels, strict=True)]
        maps = self.transformer(projected)
        for number, name in self.fpn:
            lateral = self.get_submodule(f"adapter_{number}")(features[name])
            maps.append(self.get_submodule(f"layer_{number}")(lateral + resize(maps[-1], lateral)))
        return PixelFeatures(self.mask_features(maps[-1]), maps[: self.num_maps])


def _group_norm(channels: int) -> nn.GroupNorm:
    return nn.GroupNorm(GROUP_NORM_GROUPS, channels)


def _cell_centres(x: Tensor) -> Tensor:
    """Return the cell centres (x, y) of the map *x* (B, C, h, w) in [0, 1]²: (h·w, 2)."""
    height, width = x.shape[-2:]
    rows = (torch.arange(height, dtype=torch.float32, device=x.device) + 0.5) / height
    columns = (torch.arange(width, dtype=torch.float32, device=x.device) + 0.5) / width
    across = columns[None, :].expand(height, -1)
    down = rows[:, None].expand(-1, width)
    return torch.stack([across, down], dim=-1).flatten(0, 1).to(x.dtype)


def _split(tokens: Tensor, maps: list[Tensor]) -> list[Tensor]:
    """(B, N, C) → one (B, C, h, w) per level, with the sizes of *maps*."""
    parts, start = [], 0
    for like in maps:
        height, width = like.shape[-2:]
        part = tokens[:, start : start + height * width]
        parts.append(part.reshape(like.shape[0], height, width, -1).permute(0, 3, 1, 2))
        start = start + height * width
    return parts
