"""``configuration.json`` of a model directory, parsed into frozen sections.

The file is ModelScope's (``framework``, ``task``, ``pipeline``, ``model``); only its ``model`` object is used.
It defines every size of the network. No torch here: engines that run exported models read the same file.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from msgspec import Meta

from edge_worker.common.errors import CheckpointError
from edge_worker.m2fp.network_configuration import (
    BackboneConfig,
    DecoderConfig,
    FpnConfig,
    PixelDecoderConfig,
    Positive,
)
from edge_worker.m2fp.sections import Section, read_json, read_section

if TYPE_CHECKING:
    from pathlib import Path

CONFIGURATION_FILE = "configuration.json"

# Published files omit the type of these sections.
_DEFAULT_TYPES = {"backbone": "resnet", "encoder": "msdeformattn"}

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

_InputSide = Annotated[int, Meta(ge=32)]


class InputConfig(Section, frozen=True, kw_only=True):
    """Input of multi-human models; defaults as published, light models may override them.

    Attributes:
        short_side, max_side: size in pixels.
        reduced_decoding: whether JPEGs may be decoded at 1/2, 1/4 or 1/8 of their size, if only the label map is
            requested and the decoded image is no smaller than the input.
    """

    short_side: _InputSide = 640
    max_side: _InputSide = 1333
    reduced_decoding: bool = False


class SingleHumanInput(Section, frozen=True, kw_only=True):
    """Canvas of single-human models; ``sizes`` holds a single (width, height)."""

    sizes: tuple[tuple[Positive, Positive]]


class ModelConfig(Section, frozen=True, kw_only=True):
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

    @property
    def separates_people(self) -> bool:
        """Whether the network is made to tell people apart, so that a cell is one person's.

        Masks of published models overlap and stay as they are.
        """
        return self.parsing_on and self.decoder.split_queries > 0

    def __post_init__(self) -> None:
        """Raise ValueError where keys contradict each other."""
        for holds, problem in self._agreements():
            if not holds:
                raise ValueError(problem)

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
            (
                decoder.split_queries == 0 or (isinstance(encoder, FpnConfig) and encoder.person_cues is not None),
                "decoder.split_queries needs encoder.person_cues",
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
    model = {
        name: _section(name, value) if isinstance(value, dict) else value
        for name, value in data["model"].items()
        if name not in _TOLERATED
    }
    return read_section(ModelConfig, model, file, "model")


def load_configuration(directory: Path) -> ModelConfig:
    """Read ``configuration.json`` of a model *directory*.

    Raises:
        CheckpointError: the file is missing, is not JSON, or has an unknown, missing or invalid key.
    """
    file = directory / CONFIGURATION_FILE
    try:
        data = read_json(file)
    except OSError as error:
        raise CheckpointError(f"{file}: {error.strerror}; a model directory holds {CONFIGURATION_FILE}") from error
    return parse_configuration(data, file)


def _section(name: str, data: dict[str, Any]) -> dict[str, Any]:
    """Return a section without the tolerated keys, and with its type."""
    default = {"type": _DEFAULT_TYPES[name]} if name in _DEFAULT_TYPES else {}
    return default | {key: value for key, value in data.items() if key not in _TOLERATED}
