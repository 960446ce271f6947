"""Sections of ``configuration.json`` that define the network: backbone, pixel decoder, transformer decoder.

To add a variant, define another ``type`` for its section (a sibling of :class:`ResNetConfig` or
:class:`MSDeformAttnConfig`) and register its network in ``network/m2fp.py``.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag, model_validator

# Groups of the pixel decoder's GroupNorm, as published; conv_dim must be a multiple.
GROUP_NORM_GROUPS = 32

# A label map is uint8 and must hold every class index.
MAX_CLASSES = 255

# Keys of published files that do not affect inference: training, bookkeeping, the file's own type.
_TOLERATED = frozenset(
    {
        "pretrained",
        "freeze_at",
        "deep_supervision",
        "no_object_weight",
        "class_weight",
        "dice_weight",
        "mask_weight",
        "ignore_value",
        "loss_weight",
        "train_num_points",
        "oversample_ratio",
        "importance_sample_ratio",
        # The published pipeline refuses to run if this is true.
        "sem_seg_postprocess_before_inference",
    }
)


class Section(BaseModel):
    """Base of the sections: unknown keys are rejected, tolerated keys are dropped."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    @model_validator(mode="before")
    @classmethod
    def _drop_tolerated(cls, data: object) -> object:
        if not isinstance(data, dict):
            return data
        return {key: value for key, value in data.items() if key in cls.model_fields or key not in _TOLERATED}


class ResNetConfig(Section):
    """ResNet with the DeepLab stem (``backbone``)."""

    type: Literal["resnet"] = "resnet"
    depth: Literal[50, 101, 152]
    num_groups: int = Field(1, ge=1)
    width_per_group: int = Field(64, ge=1)
    norm: Literal["BN"] = "BN"
    stem_out_channels: int = Field(128, ge=2, multiple_of=2)
    res2_out_channels: int = Field(256, ge=1)
    stride_in_1x1: bool = False
    res4_dilation: int = Field(1, ge=1)
    res5_dilation: int = Field(1, ge=1)
    res5_multi_grid: tuple[int, int, int] = (1, 1, 1)
    out_features: tuple[Literal["res2", "res3", "res4", "res5"], ...] = Field(min_length=1)


class MSDeformAttnConfig(Section):
    """Pixel decoder with multi-scale deformable attention (``encoder``)."""

    type: Literal["msdeformattn"] = "msdeformattn"
    in_features: tuple[str, ...]
    transformer_in_features: tuple[str, ...] = Field(min_length=1)
    transformer_nheads: int = Field(ge=1)
    transformer_dim_feedforward: int = Field(ge=1)
    transformer_enc_layers: int = Field(ge=0)
    transformer_dropout: float = 0.0
    conv_dim: int = Field(multiple_of=GROUP_NORM_GROUPS, ge=GROUP_NORM_GROUPS)
    mask_dim: int = Field(ge=1)
    common_stride: int = Field(4, ge=1)


class ShuffleNetConfig(Section):
    """ShuffleNetV2 (``backbone`` of light models)."""

    type: Literal["shufflenetv2"]
    stem_channels: int = Field(24, ge=1)
    channels: tuple[int, int, int]
    units: tuple[int, int, int] = (4, 8, 4)
    out_features: tuple[Literal["res2", "res3", "res4", "res5"], ...] = Field(min_length=1)


class EfficientNetLiteConfig(Section):
    """EfficientNet-Lite0 (``backbone`` of light models)."""

    type: Literal["efficientnet-lite0"]
    out_features: tuple[Literal["res2", "res3", "res4", "res5"], ...] = Field(min_length=1)


class PersonCuesConfig(Section):
    """Predictions of each pixel about the person it belongs to (``encoder.person_cues``).

    Attributes:
        waves: number of sine and cosine pairs, of ½, 1, 2… periods over the image, that embed the person's centre.
        limb_pairs: number of pairs of limbs; for each, a pixel predicts whether it is on the limb on the image's left.
    """

    waves: int = Field(ge=1, le=8)
    limb_pairs: int = Field(ge=1)


class FpnConfig(Section):
    """Feature pyramid with a transformer on the coarsest map (``encoder`` of light models)."""

    type: Literal["fpn"]
    in_features: tuple[str, ...] = Field(min_length=1)
    transformer_nheads: int = Field(ge=1)
    transformer_dim_feedforward: int = Field(ge=1)
    transformer_enc_layers: int = Field(ge=0)
    conv_dim: int = Field(multiple_of=4, ge=4)
    convs_per_level: int = Field(1, ge=1)
    blocks_per_level: int = Field(0, ge=0)
    mask_dim: int = Field(ge=1)
    person_cues: PersonCuesConfig | None = None

    @model_validator(mode="after")
    def _cues_have_a_map(self) -> FpnConfig:
        if self.person_cues is not None and len(self.in_features) == 1:
            raise ValueError("person_cues are read from the map before the last: in_features must name two or more")
        return self

    @property
    def transformer_in_features(self) -> tuple[str, ...]:
        """Return the maps the transformer reads; they are among the inputs."""
        return self.in_features


def _kind(default: str) -> Discriminator:
    """Select the class of a section by its ``type``; published files omit the key and get *default*."""
    return Discriminator(lambda section: section.get("type", default) if isinstance(section, dict) else section.type)


BackboneConfig = Annotated[
    Annotated[ResNetConfig, Tag("resnet")]
    | Annotated[ShuffleNetConfig, Tag("shufflenetv2")]
    | Annotated[EfficientNetLiteConfig, Tag("efficientnet-lite0")],
    _kind("resnet"),
]
PixelDecoderConfig = Annotated[
    Annotated[MSDeformAttnConfig, Tag("msdeformattn")] | Annotated[FpnConfig, Tag("fpn")], _kind("msdeformattn")
]


class DecoderConfig(Section):
    """Transformer decoder with masked attention (``decoder``)."""

    num_classes: int = Field(ge=1, le=MAX_CLASSES)
    hidden_dim: int = Field(ge=4, multiple_of=4)
    num_queries: int = Field(ge=1)
    nheads: int = Field(ge=1)
    dim_feedforward: int = Field(ge=1)
    dec_layers: int = Field(ge=1)
    pre_norm: bool = False
    mask_dim: int = Field(ge=1)
    enforce_input_project: bool = False
    mask_bias: tuple[Annotated[float, Field(allow_inf_nan=False)], ...] = ()
    """Added to each query's mask logits in the output: calibration after training; positive: a larger mask."""
    split_queries: int = Field(0, ge=0)
    """The last queries, so many, are persons whose masks are split where they cover two people; the output has as many
    more queries (needs ``encoder.person_cues``)."""

    @model_validator(mode="after")
    def _fits_the_queries(self) -> DecoderConfig:
        if self.mask_bias and len(self.mask_bias) != self.num_queries:
            raise ValueError(
                f"mask_bias has {len(self.mask_bias)} values for {self.num_queries} queries; give one each"
            )
        if self.split_queries > self.num_queries:
            raise ValueError(f"split_queries is {self.split_queries}, but num_queries is {self.num_queries}")
        return self
