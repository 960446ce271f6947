"""Pixel decoder without deformable attention: a transformer on the coarsest map and a feature pyramid.

MaskFormer's transformer-encoder pixel decoder (Cheng et al., arXiv 2107.06278, section 4.1), with BatchNorm, which
is folded into the convolutions on export.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from edge_worker.m2fp.network.layers import ConvNorm, resize, sine_positions
from edge_worker.m2fp.network.pixel_decoder import MAX_MAPS, Cues, PixelDecoder, PixelFeatures
from edge_worker.m2fp.network.transformer_decoder import Attention

if TYPE_CHECKING:
    from edge_worker.m2fp.network.backbone import Backbone
    from edge_worker.m2fp.network_configuration import FpnConfig, PersonCuesConfig


class EncoderLayer(nn.Module):
    """Self-attention over the cells of one map and a feed-forward network, each with residual and post-norm."""

    def __init__(self, config: FpnConfig) -> None:
        """Create the layer with the sizes of *config*."""
        super().__init__()
        self.self_attn = Attention(config.conv_dim, config.transformer_nheads)
        self.norm1 = nn.LayerNorm(config.conv_dim)
        self.linear1 = nn.Linear(config.conv_dim, config.transformer_dim_feedforward)
        self.linear2 = nn.Linear(config.transformer_dim_feedforward, config.conv_dim)
        self.norm2 = nn.LayerNorm(config.conv_dim)

    def forward(self, x: Tensor, positions: Tensor) -> Tensor:
        """(B, N, C) → (B, N, C); *positions* (1, N, C) are added to queries and keys."""
        located = x + positions
        x = self.norm1(x + self.self_attn(located, located, x))
        return cast("Tensor", self.norm2(x + self.linear2(functional.relu(self.linear1(x)))))


class ResidualBlock(nn.Module):
    """Two 3×3 convolutions with a residual (He et al., arXiv 1512.03385), initialised to the identity."""

    def __init__(self, channels: int) -> None:
        """Use *channels* for input, inner and output channels."""
        super().__init__()
        self.conv1 = _smooth(channels)
        self.conv2 = ConvNorm(channels, channels, 3, nn.BatchNorm2d(channels))
        nn.init.zeros_(cast("Tensor", self.conv2.norm.weight))

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, h, w), non-negative → (B, C, h, w)."""
        return functional.relu(x + self.conv2(self.conv1(x)))


class PersonCues(nn.Module):
    """Distinguishes what looks alike to convolutions: two people side by side, the left and the right arm.

    Each pixel of the second finest map predicts the centre of its person (as in Neven et al., arXiv 1906.11109),
    whether that person is seen from behind, and whether a limb is the one on the image's left. A sine embedding of the
    centre, and the products of the other two cues, which tell left from right, are projected onto the mask features.
    They are also projected onto that map, so that a query learns the centre of the person it attends to: the keys of
    cross-attention contain positions, its values do not.
    """

    def __init__(self, config: PersonCuesConfig, map_channels: int, mask_dim: int) -> None:
        """Create the layers, initialised to have no effect."""
        super().__init__()
        self.waves = config.waves
        self.cues = nn.Conv2d(map_channels, 3 + config.limb_pairs, 1)
        self.to_mask_features = nn.Conv2d(4 * config.waves + config.limb_pairs, mask_dim, 1, bias=False)
        self.to_map = nn.Conv2d(4 * config.waves + config.limb_pairs, map_channels, 1, bias=False)
        nn.init.zeros_(self.to_mask_features.weight)
        nn.init.zeros_(self.to_map.weight)

    def predict(self, x: Tensor) -> Cues:
        """Map (B, C, h, w) → the cues of its pixels."""
        cues = self.cues(x)
        rows, columns = (_cell_centres(size, x) for size in x.shape[-2:])
        places = torch.stack([columns.expand(x.shape[-2:]), rows[:, None].expand(x.shape[-2:])])  # (2, h, w)
        return Cues(places + cues[:, :2], cues[:, 2:])

    def forward(self, mask_features: Tensor, x: Tensor, cues: Cues) -> tuple[Tensor, Tensor]:
        """Mask features (B, mask_dim, H, W), the map before them (B, C, h, w) and its cues → both with the cues."""
        angles = torch.cat([cues.centres * (math.pi * 2**wave) for wave in range(self.waves)], dim=1)
        sides = cues.sides.tanh()
        encoded = torch.cat([angles.sin(), angles.cos(), sides[:, :1] * sides[:, 1:]], dim=1)
        return mask_features + self.to_mask_features(resize(encoded, mask_features)), x + self.to_map(encoded)


def _cell_centres(length: int, like: Tensor) -> Tensor:
    """Return the centres of *length* cells in [0, 1]: (length,)."""
    return (torch.arange(length, dtype=torch.float32, device=like.device) + 0.5) / length


class FpnPixelDecoder(PixelDecoder):
    """Top-down pyramid: 1×1 convolution of each backbone map, plus the upsampled coarser result, then 3×3 ones."""

    def __init__(self, config: FpnConfig, backbone: Backbone) -> None:
        """Use the sizes of *config* and the channels and strides of *backbone*."""
        super().__init__()
        channels = config.conv_dim
        self.levels = sorted(config.in_features, key=lambda name: -backbone.strides[name])
        self.encoder = nn.ModuleList(EncoderLayer(config) for _ in range(config.transformer_enc_layers))
        self.lateral = nn.ModuleList(
            ConvNorm(backbone.channels[name], channels, 1, nn.BatchNorm2d(channels)) for name in self.levels
        )
        self.smooth = nn.ModuleList(
            nn.Sequential(*[_smooth(channels) for _ in range(config.convs_per_level)]) for _ in self.levels
        )
        self.blocks = nn.ModuleList(
            nn.Sequential(*[ResidualBlock(channels) for _ in range(config.blocks_per_level)]) for _ in self.levels
        )
        self.mask_features = nn.Conv2d(channels, config.mask_dim, 1)
        cues = config.person_cues
        self.person_cues = PersonCues(cues, channels, config.mask_dim) if cues else None
        self.map_channels = channels
        self.num_maps = min(MAX_MAPS, len(self.levels))

    def forward(self, features: dict[str, Tensor]) -> PixelFeatures:
        """Maps of the backbone by name → mask features and the coarsest maps."""
        maps: list[Tensor] = []
        for name, lateral, smooth, blocks in zip(self.levels, self.lateral, self.smooth, self.blocks, strict=True):
            x = lateral(features[name])
            x = x + resize(maps[-1], x) if maps else self._attend(x)
            maps.append(blocks(smooth(x)))
        mask_features = self.mask_features(maps[-1])
        if self.person_cues is None:
            return PixelFeatures(mask_features, maps[: self.num_maps])
        cues = self.person_cues.predict(maps[-2])
        mask_features, maps[-2] = self.person_cues(mask_features, maps[-2], cues)
        return PixelFeatures(mask_features, maps[: self.num_maps], cues)

    def _attend(self, x: Tensor) -> Tensor:
        """(B, C, h, w) → (B, C, h, w)."""
        positions = sine_positions(x, x.shape[1])
        tokens = x.flatten(2).transpose(1, 2)  # (B, h·w, C)
        for layer in self.encoder:
            tokens = layer(tokens, positions)
        return tokens.transpose(1, 2).reshape(x.shape)


def _smooth(channels: int) -> ConvNorm:
    return ConvNorm(channels, channels, 3, nn.BatchNorm2d(channels), relu=True)
