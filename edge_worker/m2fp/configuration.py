"""``configuration.json`` of a model directory, parsed into frozen sections.

The file is ModelScope's (``framework``, ``task``, ``pipeline``, ``model``); only its ``model`` object is used.
It defines every size of the network. No torch here: engines that run exported models read the same file.

To add a variant, define another ``type`` for its section (a sibling of :class:`ResNetConfig` or
:class:`MSDeformAttnConfig`) and register its network in ``network/registry.py``.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag, ValidationError, model_validator

from edge_worker.errors import CheckpointError

if TYPE_CHECKING:
    from pathlib import Path

CONFIGURATION_FILE = "configuration.json"

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


class _Section(BaseModel):
    """Base of the sections: unknown keys are rejected, tolerated keys are dropped."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    @model_validator(mode="before")
    @classmethod
    def _drop_tolerated(cls, data: object) -> object:
        if not isinstance(data, dict):
            return data
        return {key: value for key, value in data.items() if key in cls.model_fields or key not in _TOLERATED}


class ResNetConfig(_Section):
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


class MSDeformAttnConfig(_Section):
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


class ShuffleNetConfig(_Section):
    """ShuffleNetV2 (``backbone`` of light models)."""

    type: Literal["shufflenetv2"]
    stem_channels: int = Field(24, ge=1)
    channels: tuple[int, int, int]
    units: tuple[int, int, int] = (4, 8, 4)
    out_features: tuple[Literal["res2", "res3", "res4", "res5"], ...] = Field(min_length=1)


class EfficientNetLiteConfig(_Section):
    """EfficientNet-Lite0 (``backbone`` of light models)."""

    type: Literal["efficientnet-lite0"]
    out_features: tuple[Literal["res2", "res3", "res4", "res5"], ...] = Field(min_length=1)


class FpnConfig(_Section):
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


class DecoderConfig(_Section):
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
    """Added to each query's mask logits in the answer: calibration after training; above zero, its mask is larger."""

    @model_validator(mode="after")
    def _has_a_bias_for_each_query(self) -> DecoderConfig:
        if self.mask_bias and len(self.mask_bias) != self.num_queries:
            raise ValueError(
                f"mask_bias has {len(self.mask_bias)} values for {self.num_queries} queries; give one each"
            )
        return self


class InputConfig(_Section):
    """Input size of multi-human models in pixels; defaults as published, light models may override them."""

    short_side: int = Field(640, ge=32)
    max_side: int = Field(1333, ge=32)


_Side = Annotated[int, Field(ge=1)]


class SingleHumanInput(_Section):
    """Canvas of single-human models; ``sizes`` holds a single (width, height)."""

    sizes: tuple[tuple[_Side, _Side]]


class ModelConfig(_Section):
    """The ``model`` object: network, classes and how the output is interpreted."""

    type: Literal["m2fp"] = "m2fp"
    backbone: BackboneConfig
    encoder: PixelDecoderConfig
    decoder: DecoderConfig
    input: InputConfig = InputConfig()
    classes: tuple[str, ...]
    num_parsing: int | None = None
    single_human: bool = False
    parsing_on: bool = True
    semantic_on: bool = False
    parsing_ins_score_thr: float = 0.5
    input_single_human: SingleHumanInput | None = None

    @property
    def canvas(self) -> tuple[int, int] | None:
        """Return the canvas (width, height) of single-human models; None for multi-human models."""
        return self.input_single_human.sizes[0] if self.single_human and self.input_single_human else None

    @model_validator(mode="after")
    def _agree(self) -> ModelConfig:
        for holds, problem in self._agreements():
            if not holds:
                raise ValueError(problem)
        return self

    def _agreements(self) -> tuple[tuple[bool, str], ...]:
        backbone, encoder, decoder = self.backbone, self.encoder, self.decoder
        return (
            (encoder.mask_dim == decoder.mask_dim, "encoder.mask_dim and decoder.mask_dim must be equal"),
            (encoder.conv_dim % encoder.transformer_nheads == 0, "transformer_nheads must divide encoder.conv_dim"),
            (decoder.hidden_dim % decoder.nheads == 0, "nheads must divide decoder.hidden_dim"),
            (
                set(encoder.in_features) <= set(backbone.out_features),
                "encoder.in_features exceed backbone.out_features",
            ),
            (
                set(encoder.transformer_in_features) <= set(encoder.in_features),
                "encoder.transformer_in_features exceed encoder.in_features",
            ),
            (len(self.classes) == decoder.num_classes, "classes must hold decoder.num_classes names"),
            (self.parsing_on != self.semantic_on, "exactly one of parsing_on and semantic_on must be true"),
            (not self.parsing_on or self.num_parsing is not None, "num_parsing is needed where parsing_on is true"),
            (
                not self.parsing_on or 0 <= (self.num_parsing or 0) < decoder.num_classes,
                "num_parsing must be the index of a class, that of the person",
            ),
            (
                not self.single_human or self.canvas is not None,
                "input_single_human.sizes is needed where single_human is true",
            ),
        )


def parse_configuration(data: object, file: Path | str) -> ModelConfig:
    """Validate *data*, the parsed JSON of *file*.

    Raises:
        CheckpointError: a key is unknown, missing or invalid; names *file* and the key.
    """
    if not isinstance(data, dict) or not isinstance(data.get("model"), dict):
        raise CheckpointError(f"{file}: model: an object is expected here")
    try:
        return ModelConfig.model_validate(data["model"])
    except ValidationError as error:
        raise CheckpointError(_describe(error, file)) from error


def load_configuration(directory: Path) -> ModelConfig:
    """Read ``configuration.json`` of a model *directory*.

    Raises:
        CheckpointError: the file is missing, is not JSON, or has an unknown, missing or invalid key.
    """
    file = directory / CONFIGURATION_FILE
    try:
        data: Any = json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise CheckpointError(f"{file}: {error.strerror}; a model directory holds {CONFIGURATION_FILE}") from error
    except ValueError as error:
        raise CheckpointError(f"{file}: not JSON: {error}") from error
    return parse_configuration(data, file)


def _describe(error: ValidationError, file: Path | str) -> str:
    lines = []
    for problem in error.errors(include_url=False, include_context=False):
        key = ".".join(str(part) for part in ("model", *problem["loc"]))
        lines.append(f"{file}: {key}: {problem['msg']}")
    return "\n".join(lines)
