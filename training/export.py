"""Export the averaged weights of a run as a model: `python -m training.export --run training/runs/lite --out DIR`."""

from __future__ import annotations

import argparse
import json
import math
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from edge_worker.m2fp.configuration import CONFIGURATION_FILE
from edge_worker.m2fp.directory import WEIGHTS_FILE
from edge_worker.m2fp.export import export
from edge_worker.m2fp.manifest import as_json
from training.labels import PARTS
from training.losses import Weights
from training.model import (
    MASK_BIAS,
    PART_BIAS,
    PERSON_QUERIES,
    configuration_of,
    new_student,
    read_weights,
    save_weights,
)
from training.trainer import averaged_weights

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor

    from edge_worker.m2fp.network.m2fp import M2FP

NAME = "m2fp-lite"
OUT = Path("edge_worker/models") / NAME
PERSON_BIAS = math.log(Weights().no_object)  # queries without a person weigh less in training, which raises the scores


def mean_weights(
    weights: Mapping[str, Tensor], others: Sequence[tuple[Mapping[str, Tensor], float]]
) -> dict[str, Tensor]:
    """Return the weighted mean of networks that were fine-tuned from each other.

    Each of *others* counts with its share (0…1), *weights* with the rest. Layers that one of the others lacks stay as
    in *weights*.
    """
    rest = 1 - sum(share for _, share in others)
    return {
        name: value * rest + sum(one[name] * share for one, share in others)
        if value.is_floating_point() and all(name in one for one, _ in others)
        else value
        for name, value in weights.items()
    }


def shipped_configuration(trained: dict[str, Any], mask_bias: float) -> dict[str, Any]:
    """Return the configuration of a *trained* network as it ships.

    A bias on the parts' mask logits enlarges their masks, and the masks of persons are split where they cover two.
    """
    decoder = trained["model"]["decoder"] | {"split_queries": PERSON_QUERIES}
    if mask_bias:
        decoder |= {"mask_bias": [mask_bias] * PARTS + [0.0] * PERSON_QUERIES}
    return trained | {"model": trained["model"] | {"decoder": decoder}}


def network_of(weights: Mapping[str, Tensor]) -> M2FP:
    """Return the network with *weights*."""
    student = new_student(None, configuration_of(weights))
    student.load_state_dict(weights)
    return student.network.eval()


def calibrate(network: M2FP, person_bias: float, part_bias: float) -> None:
    """Add biases to the class logits of persons and of parts in place, to match the scores to the thresholds.

    A positive bias raises scores.
    """
    bias = network.sem_seg_head.predictor.class_embed.bias
    with torch.no_grad():
        bias[:-2] += part_bias
        bias[-2] += person_bias


def write_checkpoint(network: M2FP, configuration: dict[str, Any], directory: Path) -> None:
    """Write a checkpoint directory in ModelScope's format: configuration and weights."""
    directory.mkdir(parents=True, exist_ok=True)
    (directory / CONFIGURATION_FILE).write_text(json.dumps(configuration, indent=1) + "\n", encoding="utf-8")
    state = {name: value.contiguous() for name, value in network.state_dict().items()}
    torch.save({"model": state}, directory / WEIGHTS_FILE)


def main() -> None:
    """Parse the arguments and write the exported model."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", type=Path, default=Path("training/runs/lite"))
    parser.add_argument("--out", type=Path, default=OUT)
    parser.add_argument("--weights", type=Path, help="also keep the weights here, for other runs to start from")
    parser.add_argument(
        "--mean-with",
        nargs=2,
        action="append",
        default=[],
        metavar=("FILE", "SHARE"),
        help="export the mean with these weights, which count with this share (0 to 1); may be given several times",
    )
    parser.add_argument("--person-bias", type=float, default=PERSON_BIAS)
    parser.add_argument("--part-bias", type=float, default=PART_BIAS)
    parser.add_argument("--mask-bias", type=float, default=MASK_BIAS)
    arguments = parser.parse_args()
    others = [(read_weights(Path(file)), float(share)) for file, share in arguments.mean_with]
    if any(share < 0 for _, share in others) or sum(share for _, share in others) >= 1:
        parser.error("--mean-with: shares must not be negative and must add up to less than 1")
    weights = mean_weights(averaged_weights(arguments.run), others)
    if arguments.weights is not None:
        save_weights(weights, arguments.weights)
    network = network_of(weights)
    calibrate(network, arguments.person_bias, arguments.part_bias)
    with tempfile.TemporaryDirectory() as directory:
        trained = configuration_of(weights)
        write_checkpoint(network, shipped_configuration(trained, arguments.mask_bias), Path(directory))
        manifest = export(Path(directory), arguments.out, name=NAME, half_weights=True)
    print(as_json(manifest))


if __name__ == "__main__":
    main()
