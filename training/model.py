"""m2fp-lite: its configuration and its weights before training."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor, nn

from edge_worker.m2fp.configuration import ModelConfig, parse_configuration
from edge_worker.m2fp.network.layers import sine_positions
from edge_worker.m2fp.network.m2fp import M2FP
from edge_worker.m2fp.network.transformer_decoder import Prediction
from training.imagenet import MEAN, STD, fold_input
from training.labels import MIRRORED, PARTS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path


PERSON_QUERIES = 16
PART_BIAS = 2.0  # added to the parts' class logits at export: chosen on the validation photos, see README
MASK_BIAS = 0.7  # added to their mask logits: more pixels of persons were missed than wrongly added
_ANCHOR_ROWS = (0.42, 0.62)
_GRID = 200  # side of the grid on which anchors are looked up

CLASSES = (
    *("Background", "Hat", "Hair", "Glove", "Sunglasses", "UpperClothes", "Dress", "Coat", "Socks", "Pants"),
    *("Torso-skin", "Scarf", "Skirt", "Face", "Left-arm", "Right-arm", "Left-leg", "Right-leg", "Left-shoe"),
    *("Right-shoe", "Human"),
)
_FEATURES = ("res2", "res3", "res4", "res5")

CONFIGURATION: dict[str, Any] = {
    "framework": "pytorch",
    "task": "image-segmentation",
    "pipeline": {"type": "m2fp-image-human-parsing"},
    "model": {
        "type": "m2fp",
        "backbone": {"type": "shufflenetv2", "channels": [48, 96, 192], "out_features": list(_FEATURES)},
        "encoder": {
            "type": "fpn",
            "in_features": list(_FEATURES),
            "transformer_nheads": 8,
            "transformer_dim_feedforward": 512,
            "transformer_enc_layers": 2,
            "conv_dim": 96,
            "blocks_per_level": 2,
            "mask_dim": 96,
            "person_cues": {"waves": 4, "limb_pairs": len(MIRRORED)},
        },
        "decoder": {
            "num_classes": len(CLASSES),
            "hidden_dim": 96,
            "num_queries": PARTS + PERSON_QUERIES,
            "nheads": 8,
            "dim_feedforward": 512,
            "dec_layers": 3,
            "mask_dim": 96,
        },
        "input": {"short_side": 320, "max_side": 640, "reduced_decoding": True},
        "classes": list(CLASSES),
        "num_parsing": PARTS,
        "parsing_ins_score_thr": 0.3,
    },
}

# The same with a larger backbone: 5.5 M parameters.
LITE0_CONFIGURATION = CONFIGURATION | {
    "model": CONFIGURATION["model"] | {"backbone": {"type": "efficientnet-lite0", "out_features": list(_FEATURES)}}
}
# Layers added to networks trained without them: initialised to have no effect.
_ADDED = (".blocks.", ".person_cues.", "centres.")


class Deep(NamedTuple):
    """Output of the network in training."""

    early: list[Prediction]  # before the first decoder layer and after each but the last; masks at half resolution
    final: Prediction
    query_centres: list[Tensor]  # (B, PERSON_QUERIES, 2) x and y in 0…1 of the query's person, for each prediction
    auxiliary: Tensor  # (B, 20, h, w) class logits of each cell
    pixel_centres: Tensor  # (B, 2, h/2, w/2) of each cell's person, x and y in 0…1
    sides: Tensor  # (B, 1 + pairs of limbs, h/2, w/2) logits: seen from behind; limb on the image's left


class Student(nn.Module):
    """The network with an auxiliary head for training: pixelwise classes from the mask features."""

    def __init__(self, config: ModelConfig) -> None:
        """Create the network with random weights."""
        super().__init__()
        self.network = M2FP(config)
        self.auxiliary = nn.Conv2d(config.encoder.mask_dim, PARTS, 1)
        self.centres = nn.Linear(config.decoder.hidden_dim, 2)
        nn.init.zeros_(self.centres.weight)
        nn.init.zeros_(self.centres.bias)

    def forward(self, images: Tensor) -> Deep:
        """Normalised RGB (B, 3, H, W) → predictions of all decoder layers, auxiliary class logits and cues."""
        features = self.network.features(images)
        predictor = self.network.sem_seg_head.predictor
        *early, last = predictor.states(features)
        # One product for all early layers, at half resolution: the masks are the costly part of deep supervision.
        together = predictor.predict(torch.cat(early, dim=1), features.mask_features[..., ::2, ::2].contiguous())
        layers = zip(*(logits.chunk(len(early), dim=1) for logits in together), strict=True)
        final = predictor.predict(last, features.mask_features)
        auxiliary = self.auxiliary(features.mask_features)
        start = anchors()
        centres = [start + self.centres(state[:, PARTS:]).float() for state in (*early, last)]
        assert features.cues is not None  # noqa: S101  every student has them
        return Deep([Prediction(*layer) for layer in layers], final, centres, auxiliary, *features.cues)


def new_student(init: Path | None, configuration: dict[str, Any] = CONFIGURATION) -> Student:
    """Create a student; with *init*, the backbone gets a ShuffleNetV2's ImageNet weights from that file."""
    student = Student(parse_configuration(configuration, "training/model.py"))
    if init is not None:
        load_backbone(student.network, init)
    place_anchors(student.network)
    return student.to(memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]


def save_weights(average: Mapping[str, Tensor], file: Path) -> None:
    """Save the averaged weights of a run in half precision: enough to start another run."""
    torch.save({name: value.half() if value.is_floating_point() else value for name, value in average.items()}, file)


def configuration_of(weights: Mapping[str, Tensor]) -> dict[str, Any]:
    """Return the configuration of the network that *weights* belong to, determined by the backbone."""
    return LITE0_CONFIGURATION if "network.backbone.res5.0.expand.weight" in weights else CONFIGURATION


def read_weights(file: Path) -> dict[str, Tensor]:
    """Return the weights saved by :func:`save_weights`, in single precision."""
    weights: dict[str, Tensor] = torch.load(file, map_location="cpu", weights_only=True)
    return {name: value.float() if value.is_floating_point() else value for name, value in weights.items()}


def load_weights(student: Student, file: Path) -> None:
    """Load weights saved by :func:`save_weights` into *student*; layers added since are unchanged, without effect."""
    found = student.load_state_dict(torch.load(file, map_location="cpu", weights_only=True), strict=False)
    wrong = [name for name in (*found.missing_keys, *found.unexpected_keys) if not any(one in name for one in _ADDED)]
    if wrong:
        raise ValueError(f"{file}: these weights are of another network: {', '.join(wrong[:5])}")


def anchors() -> Tensor:
    """Return the initial positions (x, y in 0…1) of the person queries, (PERSON_QUERIES, 2): two rows."""
    columns = PERSON_QUERIES // len(_ANCHOR_ROWS)
    return torch.tensor([((i + 0.5) / columns, y) for i in range(columns) for y in _ANCHOR_ROWS])


def place_anchors(network: M2FP) -> None:
    """Set each person query to the position embedding of its anchor, which separates persons from the first step."""
    table = network.sem_seg_head.predictor.query_embed.weight
    grid = sine_positions(torch.zeros(1, 1, _GRID, _GRID), table.shape[1])[0]  # (cells, C)
    x, y = (anchors() * _GRID).long().unbind(1)
    with torch.no_grad():
        table[PARTS:] = grid[y * _GRID + x]


def normalise(images: Tensor) -> Tensor:
    """RGB uint8 (B, H, W, 3) → normalised float (B, 3, H, W), channels last in memory."""
    scaled = (images.float() - torch.tensor(MEAN)) / torch.tensor(STD)
    return scaled.permute(0, 3, 1, 2)


def load_backbone(network: M2FP, path: Path) -> None:
    """Load the backbone from a ShuffleNetV2 with FastestDet's tensor names, trained for BGR in 0…1."""
    source = torch.load(path, map_location="cpu", weights_only=True)
    state = {ours: source[theirs] for theirs, ours in _renamed(source)}
    state["stem.weight"] = state["stem.weight"].flip(1)  # BGR → RGB
    mean, std = torch.tensor(MEAN)[:, None, None] / 255, torch.tensor(STD)[:, None, None] / 255
    fold_input(state, std, mean)
    network.backbone.load_state_dict(state)


def _renamed(source: dict[str, Tensor]) -> Iterator[tuple[str, str]]:
    """Yield pairs of names: `stage2.0.branch_main.3.weight` is `res3.0.main.1.weight` here, and so on."""
    for name in source:
        parts = name.split(".")
        if parts[0] == "first_conv":
            yield name, ".".join(["stem", *(["norm"] if parts[1] == "1" else []), parts[2]])
        elif parts[0].startswith("stage"):
            main = parts[2] == "branch_main"
            places = {0: "0", 1: "0.norm", 3: "1", 4: "1.norm", 5: "2", 6: "2.norm"} if main else _SIDE_PLACES
            stage = f"res{int(parts[0].removeprefix('stage')) + 1}"
            yield name, ".".join([stage, parts[1], "main" if main else "side", places[int(parts[3])], parts[4]])


_SIDE_PLACES = {0: "0", 1: "0.norm", 2: "1", 3: "1.norm"}
