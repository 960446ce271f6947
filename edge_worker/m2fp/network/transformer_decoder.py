"""Transformer decoder with masked attention: learned queries → class and mask logits (Mask2Former, section 3.2)."""

from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING, NamedTuple, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from edge_worker.m2fp.network.layers import channels_first, resize, sine_positions

if TYPE_CHECKING:
    from edge_worker.m2fp.network.pixel_decoder import PixelFeatures
    from edge_worker.m2fp.network_configuration import DecoderConfig

# Number of layers of the mask embedding (Mask2Former, section 3.2.2).
_MASK_EMBED_LAYERS = 3


class Prediction(NamedTuple):
    """Class and mask logits of the queries."""

    class_logits: Tensor  # (B, Q, classes + 1), the last is "no object"
    mask_logits: Tensor  # (B, Q, H/4, W/4), positive inside


class Attention(nn.Module):
    """Multi-head attention; one matrix packs the query, key and value projections in this order."""

    def __init__(self, channels: int, heads: int) -> None:
        """Create the projections; *heads* must divide *channels*."""
        super().__init__()
        self.heads = heads
        self.scale = 1 / math.sqrt(channels // heads)
        self.in_proj_weight = nn.Parameter(torch.empty(3 * channels, channels))
        self.in_proj_bias = nn.Parameter(torch.zeros(3 * channels))
        self.out_proj = nn.Linear(channels, channels)
        nn.init.xavier_uniform_(self.in_proj_weight)
        nn.init.zeros_(self.out_proj.bias)

    def forward(self, query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None = None) -> Tensor:
        """*query* (B, Q, C), *key* and *value* (B, K, C), additive *mask* (B, 1, Q, K) → (B, Q, C)."""
        weights, biases = self.in_proj_weight.chunk(3), self.in_proj_bias.chunk(3)
        queries = self._split(functional.linear(query, weights[0], biases[0]) * self.scale)  # (B, heads, Q, C/heads)
        keys = torch.unflatten(
            channels_first(key, weights[1], biases[1]), 1, (self.heads, -1)
        )  # (B, heads, C/heads, K)
        values = self._split(functional.linear(value, weights[2], biases[2]))  # (B, heads, K, C/heads)
        scores = queries @ keys  # (B, heads, Q, K)
        if mask is not None:
            scores = scores + mask
        attended = scores.softmax(-1) @ values  # (B, heads, Q, C/heads)
        return cast("Tensor", self.out_proj(attended.transpose(1, 2).flatten(2)))

    def _split(self, tokens: Tensor) -> Tensor:
        """(B, n, C) → (B, heads, n, C/heads)."""
        return torch.unflatten(tokens, -1, (self.heads, -1)).transpose(1, 2)


class SelfAttentionLayer(nn.Module):
    """Self-attention of the queries, with residual and norm."""

    def __init__(self, config: DecoderConfig) -> None:
        """Create the layer with the sizes of *config*."""
        super().__init__()
        self.self_attn = Attention(config.hidden_dim, config.nheads)
        self.norm = nn.LayerNorm(config.hidden_dim)
        self.pre_norm = config.pre_norm

    def forward(self, x: Tensor, query_positions: Tensor) -> Tensor:
        """(B, Q, C) → (B, Q, C)."""
        inner = self.norm(x) if self.pre_norm else x
        key = inner + query_positions
        x = x + self.self_attn(key, key, inner)
        return x if self.pre_norm else self.norm(x)


class CrossAttentionLayer(nn.Module):
    """Masked cross-attention from the queries to one map, with residual and norm."""

    def __init__(self, config: DecoderConfig) -> None:
        """Create the layer with the sizes of *config*."""
        super().__init__()
        self.multihead_attn = Attention(config.hidden_dim, config.nheads)
        self.norm = nn.LayerNorm(config.hidden_dim)
        self.pre_norm = config.pre_norm

    def forward(self, x: Tensor, query_positions: Tensor, level: Level, mask: Tensor) -> Tensor:
        """(B, Q, C) → (B, Q, C); additive *mask* (B, 1, Q, h·w)."""
        inner = self.norm(x) if self.pre_norm else x
        x = x + self.multihead_attn(inner + query_positions, level.tokens + level.positions, level.tokens, mask)
        return x if self.pre_norm else self.norm(x)


class FFNLayer(nn.Module):
    """Feed-forward network of the queries, with residual and norm."""

    def __init__(self, config: DecoderConfig) -> None:
        """Create the layer with the sizes of *config*."""
        super().__init__()
        self.linear1 = nn.Linear(config.hidden_dim, config.dim_feedforward)
        self.linear2 = nn.Linear(config.dim_feedforward, config.hidden_dim)
        self.norm = nn.LayerNorm(config.hidden_dim)
        self.pre_norm = config.pre_norm

    def forward(self, x: Tensor) -> Tensor:
        """(B, Q, C) → (B, Q, C)."""
        inner = self.norm(x) if self.pre_norm else x
        x = x + self.linear2(functional.relu(self.linear1(inner)))
        return x if self.pre_norm else self.norm(x)


class MLP(nn.Module):
    """Linear layers with ReLU between them."""

    def __init__(self, in_channels: int, hidden: int, out_channels: int, layers: int) -> None:
        """Create *layers* linear layers with *hidden* channels between them."""
        super().__init__()
        sizes = [in_channels, *[hidden] * (layers - 1), out_channels]
        self.layers = nn.ModuleList(nn.Linear(a, b) for a, b in itertools.pairwise(sizes))

    def forward(self, x: Tensor) -> Tensor:
        """(…, in) → (…, out)."""
        for layer in self.layers[:-1]:
            x = functional.relu(layer(x))
        return cast("Tensor", self.layers[-1](x))


class Level(NamedTuple):
    """One map, prepared for cross-attention."""

    tokens: Tensor  # (B, h·w, C), level embedding added
    positions: Tensor  # (1, h·w, C)
    mask_features: Tensor  # (B, mask_dim, h·w): from the pixel decoder, resized to this map


class TransformerDecoder(nn.Module):
    """Queries attend to the maps in turn, each only inside its currently predicted mask."""

    def __init__(self, config: DecoderConfig, map_channels: int, num_maps: int) -> None:
        """Use the sizes of *config*, for *num_maps* maps of *map_channels* channels."""
        super().__init__()
        hidden, layers = config.hidden_dim, range(config.dec_layers)
        project = map_channels != hidden or config.enforce_input_project
        self.input_proj = nn.ModuleList(
            nn.Conv2d(map_channels, hidden, 1) if project else nn.Identity() for _ in range(num_maps)
        )
        self.level_embed = nn.Embedding(num_maps, hidden)
        self.query_feat = nn.Embedding(config.num_queries, hidden)
        self.query_embed = nn.Embedding(config.num_queries, hidden)
        self.transformer_cross_attention_layers = nn.ModuleList(CrossAttentionLayer(config) for _ in layers)
        self.transformer_self_attention_layers = nn.ModuleList(SelfAttentionLayer(config) for _ in layers)
        self.transformer_ffn_layers = nn.ModuleList(FFNLayer(config) for _ in layers)
        self.decoder_norm = nn.LayerNorm(hidden)
        self.class_embed = nn.Linear(hidden, config.num_classes + 1)
        self.mask_embed = MLP(hidden, hidden, config.mask_dim, _MASK_EMBED_LAYERS)
        self._mask_bias = config.mask_bias

    def forward(self, features: PixelFeatures) -> Prediction:
        """Return the calibrated prediction of the last layer."""
        answer = self.predict(self.states(features)[-1], features.mask_features)
        if not self._mask_bias:
            return answer
        return answer._replace(mask_logits=answer.mask_logits + torch.tensor(self._mask_bias)[:, None, None])

    def states(self, features: PixelFeatures) -> list[Tensor]:
        """Return the normalised queries (B, Q, C) before the first layer and after each layer."""
        levels = self._levels(features)
        positions = self.query_embed.weight[None]  # (1, Q, C)
        x = self.query_feat.weight[None].expand(features.mask_features.shape[0], -1, -1)  # (B, Q, C)
        states = [self.decoder_norm(x)]
        for index, (cross, own, ffn) in enumerate(
            zip(
                self.transformer_cross_attention_layers,
                self.transformer_self_attention_layers,
                self.transformer_ffn_layers,
                strict=True,
            )
        ):
            level = levels[index % len(levels)]
            x = cross(x, positions, level, self._attention_mask(states[-1], level))
            x = ffn(own(x, positions))
            states.append(self.decoder_norm(x))
        return states

    def _levels(self, features: PixelFeatures) -> list[Level]:
        levels = []
        for index, (project, one) in enumerate(zip(self.input_proj, features.maps, strict=True)):
            tokens = project(one).flatten(2).transpose(1, 2) + self.level_embed.weight[index]  # (B, h·w, C)
            positions = sine_positions(one, tokens.shape[-1])
            levels.append(Level(tokens, positions, resize(features.mask_features, one).flatten(2)))
        return levels

    def _attention_mask(self, state: Tensor, level: Level) -> Tensor:
        """Return the additive mask (B, 1, Q, h·w): -inf where a query predicts "outside", unless it does so everywhere.

        Resizing and the dot product are linear, so the mask features are resized once per map instead of the mask
        logits of every query. A negative logit is a sigmoid below 0.5.
        """
        outside = self.mask_embed(state) @ level.mask_features < 0  # (B, Q, h·w)
        nowhere = outside.all(dim=-1, keepdim=True)
        return torch.zeros_like(outside, dtype=state.dtype).masked_fill(outside & ~nowhere, -torch.inf)[:, None]

    def predict(self, state: Tensor, mask_features: Tensor) -> Prediction:
        """Predict from normalised queries (B, Q, C); training also applies it to early layers (deep supervision)."""
        embedded = self.mask_embed(state)  # (B, Q, mask_dim)
        masks = embedded @ mask_features.flatten(2)  # (B, Q, H/4·W/4)
        return Prediction(self.class_embed(state), masks.reshape(*masks.shape[:2], *mask_features.shape[2:]))
