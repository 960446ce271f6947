"""Checkpoints with seeded random weights, for tests and for running a worker without a trained model.

``python -m edge_worker.m2fp.seeded DIRECTORY`` writes the exported model bundled as ``builtin:seeded``.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from edge_worker.m2fp.class_names import CIHP_CLASSES, CIHP_MULTI_HUMAN_CLASSES
from edge_worker.m2fp.configuration import CONFIGURATION_FILE, parse_configuration
from edge_worker.m2fp.directory import WEIGHTS_FILE
from edge_worker.m2fp.export import export
from edge_worker.m2fp.network.m2fp import M2FP

if TYPE_CHECKING:
    from collections.abc import Mapping

_WARNING = "Seeded random weights: its labels mean nothing."
_SEED = 21

# Gains of the last layers of that model: random logits are near zero, which puts every score below the thresholds.
_CLASS_GAIN = 60.0
_MASK_GAIN = 8.0

# Shape of the random images that set the running statistics of BatchNorm.
_CALIBRATION = (4, 3, 128, 160)

_STAGES = ["res2", "res3", "res4", "res5"]


def tiny_configuration(*, single_human: bool = False) -> dict[str, Any]:
    """Return a complete ``configuration.json`` of about 200,000 parameters, which tests vary."""
    names = CIHP_CLASSES if single_human else CIHP_MULTI_HUMAN_CLASSES
    return {
        "framework": "pytorch",
        "task": "image-segmentation",
        "pipeline": {"type": "m2fp-image-human-parsing"},
        "model": {
            "type": "m2fp",
            "pretrained": True,
            "backbone": _tiny_backbone(),
            "encoder": _tiny_encoder(),
            "decoder": {**_tiny_decoder(), "num_classes": len(names)},
            "classes": list(names),
            "num_parsing": None if single_human else len(CIHP_CLASSES),
            "single_human": single_human,
            "parsing_on": not single_human,
            "semantic_on": single_human,
            "parsing_ins_score_thr": 0.3,
            "sem_seg_postprocess_before_inference": False,
            **({"input_single_human": {"sizes": [[384, 512]]}} if single_human else {}),
        },
    }


def _tiny_backbone() -> dict[str, Any]:
    return {
        "depth": 50,
        "num_groups": 1,
        "width_per_group": 4,
        "norm": "BN",
        "stem_out_channels": 8,
        "res2_out_channels": 16,
        "stride_in_1x1": False,
        "res4_dilation": 1,
        "res5_dilation": 1,
        "res5_multi_grid": [1, 1, 1],
        "out_features": _STAGES,
    }


def _tiny_encoder() -> dict[str, Any]:
    return {
        "in_features": _STAGES,
        "transformer_in_features": _STAGES[1:],
        "transformer_nheads": 4,
        "transformer_dim_feedforward": 64,
        "transformer_enc_layers": 1,
        "transformer_dropout": 0.0,
        "conv_dim": 32,
        "mask_dim": 32,
        "common_stride": 4,
    }


def _tiny_decoder() -> dict[str, Any]:
    return {
        "hidden_dim": 32,
        "num_queries": 20,
        "nheads": 4,
        "dim_feedforward": 64,
        "dec_layers": 3,
        "pre_norm": False,
        "mask_dim": 32,
        "enforce_input_project": False,
    }


def published_configuration() -> dict[str, Any]:
    """Return the configuration of the published ResNet-101 model (63 million parameters), for benchmarks."""
    configuration = tiny_configuration()
    model = configuration["model"]
    model["backbone"].update(depth=101, width_per_group=64, stem_out_channels=128, res2_out_channels=256)
    model["encoder"].update(
        conv_dim=256, mask_dim=256, transformer_nheads=8, transformer_dim_feedforward=1024, transformer_enc_layers=6
    )
    model["decoder"].update(hidden_dim=256, mask_dim=256, nheads=8, dim_feedforward=2048, dec_layers=9, num_queries=100)
    return configuration


def write_seeded_checkpoint(
    directory: Path, configuration: Mapping[str, Any], seed: int, *, class_gain: float = 1.0, mask_gain: float = 1.0
) -> Path:
    """Write a checkpoint of random weights, deterministic in its arguments, and return *directory*.

    The gains multiply the weights of the last layers of the class and mask logits.
    """
    config = parse_configuration(dict(configuration), directory / CONFIGURATION_FILE)
    generator_state = torch.get_rng_state()
    torch.manual_seed(seed)
    network = M2FP(config)
    _calibrate(network)
    predictor = network.sem_seg_head.predictor
    with torch.no_grad():
        predictor.get_parameter("class_embed.weight").mul_(class_gain)
        predictor.get_parameter("mask_embed.layers.2.weight").mul_(mask_gain)
    torch.set_rng_state(generator_state)
    directory.mkdir(parents=True, exist_ok=True)
    (directory / CONFIGURATION_FILE).write_text(json.dumps(configuration, indent=1) + "\n", encoding="utf-8")
    torch.save({"model": network.state_dict()}, directory / WEIGHTS_FILE)
    return directory


@torch.no_grad()
def _calibrate(network: M2FP) -> None:
    """Set the BatchNorm running statistics from random images, so that activations stay in a normal range."""
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = None  # cumulative average
    network.train()(torch.randn(_CALIBRATION))


def main(out: Path) -> None:
    """Write the model bundled as ``builtin:seeded`` into *out*."""
    with tempfile.TemporaryDirectory() as temporary:
        checkpoint = write_seeded_checkpoint(
            Path(temporary), tiny_configuration(), _SEED, class_gain=_CLASS_GAIN, mask_gain=_MASK_GAIN
        )
        export(checkpoint, out, name="seeded", warning=_WARNING)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
