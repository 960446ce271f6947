"""Golden checkpoints, with the published pipeline's output, and configurations of seeded ones."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from edge_worker.m2fp.configuration import ModelConfig, load_configuration
from edge_worker.m2fp.seeded import tiny_configuration

if TYPE_CHECKING:
    from numpy.typing import NDArray

GOLDEN = Path(__file__).resolve().parent / "golden"
GOLDEN_NAMES = ("tiny-multi", "tiny-single")


@dataclass(frozen=True)
class Golden:
    """A checkpoint, a frame, and the output of ModelScope's pipeline for it."""

    directory: Path
    config: ModelConfig
    frame: NDArray[np.uint8]
    expected: dict[str, Any]


def load_golden(name: str) -> Golden:
    """Load one of GOLDEN_NAMES."""
    directory = GOLDEN / name
    with np.load(directory / "expected.npz") as file:
        expected = dict(file)
    frame = np.asarray(Image.open(directory / "frame.png").convert("RGB"))
    return Golden(directory, load_configuration(directory), frame, expected)


# Name → differences from the tiny configuration: "section.key" → value. Each tests other keys.
VARIANTS: dict[str, dict[str, Any]] = {
    "depth-101": {"backbone.depth": 101},
    "depth-152-wide-groups": {"backbone.depth": 152, "backbone.num_groups": 2, "backbone.width_per_group": 3},
    "stem-as-wide-as-res2": {"backbone.stem_out_channels": 16},
    "stride-in-1x1": {"backbone.stride_in_1x1": True},
    "res5-dilated": {"backbone.res5_dilation": 2, "backbone.res5_multi_grid": [1, 2, 4]},
    "res4-dilated": {"backbone.res4_dilation": 2, "backbone.res5_dilation": 4},
    "projected": {"encoder.conv_dim": 64, "encoder.transformer_nheads": 8, "decoder.hidden_dim": 48},
    "enforced-projection": {"decoder.enforce_input_project": True},
    "other-masks": {"encoder.mask_dim": 24, "decoder.mask_dim": 24, "decoder.num_queries": 7, "decoder.dec_layers": 7},
    "pre-norm": {"decoder.pre_norm": True},
    "two-levels": {"encoder.transformer_in_features": ["res4", "res5"]},
    "single-odd-canvas": {"single_human": True, "input_single_human.sizes": [[200, 130]]},
    "few-classes": {
        "classes": ["Background", "Shirt", "Person"],
        "num_parsing": 2,
        "decoder.num_classes": 3,
        "parsing_ins_score_thr": 0.05,
    },
}


def variant(name: str) -> dict[str, Any]:
    """Return a complete configuration.json with the differences in VARIANTS[name]."""
    changes = VARIANTS[name]
    configuration = deepcopy(tiny_configuration(single_human=changes.get("single_human", False)))
    for path, value in changes.items():
        *sections, key = path.split(".")
        target = configuration["model"]
        for section in sections:
            target = target[section]
        target[key] = value
    return configuration
