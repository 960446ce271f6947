"""Sections of ``configuration.json`` that define the network: backbone, pixel decoder, transformer decoder.

To add a variant, define a sibling of :class:`ResNetConfig` or :class:`MSDeformAttnConfig` with another tag, the
value of its key ``type``, add it to the union below, and register its network in ``network/m2fp.py``.
"""

from __future__ import annotations

import math
from typing import Annotated, Literal

from msgspec import Meta

from edge_worker.m2fp.sections import Section

# Groups of the pixel decoder's GroupNorm, as published; conv_dim must be a multiple.
GROUP_NORM_GROUPS = 32

# A label map is uint8 and must hold every class index.
MAX_CLASSES = 255

Positive = Annotated[int, Meta(ge=1)]
NotNegative = Annotated[int, Meta(ge=0)]
Maps = Annotated[tuple[Literal["res2", "res3", "res4", "res5"], ...], Meta(min_length=1)]


class ResNetConfig(Section, frozen=True, kw_only=True, tag="resnet"):
    """ResNet with the DeepLab stem (``backbone``)."""

    depth: Literal[50, 101, 152]
    num_groups: Positive = 1
    width_per_group: Positive = 64
    norm: Literal["BN"] = "BN"
    stem_out_channels: Annotated[int, Meta(ge=2, multiple_of=2)] = 128
    res2_out_channels: Positive = 256
    stride_in_1x1: bool = False
    res4_dilation: Positive = 1
    res5_dilation: Positive = 1
    res5_multi_grid: tuple[int, int, int] = (1, 1, 1)
    out_features: Maps


class MSDeformAttnConfig(Section, frozen=True, kw_only=True, tag="msdeformattn"):
    """Pixel decoder with multi-scale deformable attention (``encoder``)."""

    in_features: tuple[str, ...]
    transformer_in_features: Annotated[tuple[str, ...], Meta(min_length=1)]
    transformer_nheads: Positive
    transformer_dim_feedforward: Positive
    transformer_enc_layers: NotNegative
    transformer_dropout: float = 0.0
    conv_dim: Annotated[int, Meta(multiple_of=GROUP_NORM_GROUPS, ge=GROUP_NORM_GROUPS)]
    mask_dim: Positive
    common_stride: Positive = 4


class ShuffleNetConfig(Section, frozen=True, kw_only=True, tag="shufflenetv2"):
    """ShuffleNetV2 (``backbone`` of light models)."""

    stem_channels: Positive = 24
    channels: tuple[int, int, int]
    units: tuple[int, int, int] = (4, 8, 4)
    out_features: Maps


class EfficientNetLiteConfig(Section, frozen=True, kw_only=True, tag="efficientnet-lite0"):
    """EfficientNet-Lite0 (``backbone`` of light models)."""

    out_features: Maps


class PersonCuesConfig(Section, frozen=True, kw_only=True):
    """Predictions of each pixel about the person it belongs to (``encoder.person_cues``).

    Attributes:
        waves: number of sine and cosine pairs, of ½, 1, 2… periods over the image, that embed the person's centre.
        limb_pairs: number of pairs of limbs; for each, a pixel predicts whether it is on the limb on the image's left.
    """

    waves: Annotated[int, Meta(ge=1, le=8)]
    limb_pairs: Positive


class FpnConfig(Section, frozen=True, kw_only=True, tag="fpn"):
    """Feature pyramid with a transformer on the coarsest map (``encoder`` of light models)."""

    in_features: Annotated[tuple[str, ...], Meta(min_length=1)]
    transformer_nheads: Positive
    transformer_dim_feedforward: Positive
    transformer_enc_layers: NotNegative
    conv_dim: Annotated[int, Meta(multiple_of=4, ge=4)]
    convs_per_level: Positive = 1
    blocks_per_level: NotNegative = 0
    mask_dim: Positive
    person_cues: PersonCuesConfig | None = None

    def __post_init__(self) -> None:
        """Raise ValueError where keys contradict each other."""
        if self.person_cues is not None and len(self.in_features) == 1:
            raise ValueError("person_cues are read from the map before the last: in_features must name two or more")

    @property
    def transformer_in_features(self) -> tuple[str, ...]:
        """Return the maps the transformer reads; they are among the inputs."""
        return self.in_features


BackboneConfig = ResNetConfig | ShuffleNetConfig | EfficientNetLiteConfig
PixelDecoderConfig = MSDeformAttnConfig | FpnConfig


class DecoderConfig(Section, frozen=True, kw_only=True):
    """Transformer decoder with masked attention (``decoder``)."""

    num_classes: Annotated[int, Meta(ge=1, le=MAX_CLASSES)]
    hidden_dim: Annotated[int, Meta(multiple_of=4, ge=4)]
    num_queries: Positive
    nheads: Positive
    dim_feedforward: Positive
    dec_layers: Positive
    pre_norm: bool = False
    mask_dim: Positive
    enforce_input_project: bool = False
    mask_bias: tuple[float, ...] = ()
    """Added to each query's mask logits in the output: calibration after training; positive: a larger mask."""
    split_queries: NotNegative = 0
    """The last queries, so many, are persons whose masks are split where they cover two people; the output has as many
    more queries (needs ``encoder.person_cues``)."""

    def __post_init__(self) -> None:
        """Raise ValueError where keys contradict each other."""
        if not all(map(math.isfinite, self.mask_bias)):
            raise ValueError("mask_bias has values that are not finite")
        if self.mask_bias and len(self.mask_bias) != self.num_queries:
            raise ValueError(
                f"mask_bias has {len(self.mask_bias)} values for {self.num_queries} queries; give one each"
            )
        if self.split_queries > self.num_queries:
            raise ValueError(f"split_queries is {self.split_queries}, but num_queries is {self.num_queries}")
