"""Train the network that decides left and right: `python -m training.limb_sides --minutes 60`; again to resume.

In the end it is added to the exported model (`--export-only`: to one exported since), which `training.quantise` then
judges.
"""

from __future__ import annotations

import argparse
import os
from dataclasses import fields
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
import torch
from msgspec import structs
from torch.nn import functional

from edge_worker.m2fp.checksums import sha256_of
from edge_worker.m2fp.export import halve_weights, write_limb_sides
from edge_worker.m2fp.limb_sides import crop, cut, in_pixels, window_around
from edge_worker.m2fp.manifest import LIMB_SIDES_FILE, read_manifest, write_manifest
from edge_worker.m2fp.network.limb_sides import LimbSideNetwork
from training import cache, found_people, rendered
from training.batches import Share
from training.cache import read_rgb, read_values
from training.export import OUT
from training.labels import MIRRORED, PARTS
from training.limb_crops import LimbCrops, cells_of
from training.measure.rendered import LEAST_SIDE, truth_of
from training.model import read_weights, save_weights
from training.team import Team, work_together
from training.trainer import CACHE, DATA, Plan, Trainer, averaged_weights, train

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor, nn

    from edge_worker.m2fp.network.backbone import Backbone
    from training.limb_crops import LimbBatch

START = Path("training/limb_sides.pt")
BATCH = 32
LEARNING_RATE = 1e-3
BACKBONE_SHARE = 0.4  # factor of the learning rate for the pretrained backbone
_BACKBONE = "network.backbone."  # names of the parsing network's tensors


class LimbSideTask:
    """The network that decides left and right."""

    def __init__(self, start: Path) -> None:
        """Start from the weights in *start*: a network of this kind, or one that parses, whose backbone is taken."""
        self.network = first_network(read_weights(start)).to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def backbone(self, network: LimbSideNetwork) -> Backbone:
        """Return the backbone of *network*."""
        return network.backbone

    def losses(self, batch: LimbBatch) -> dict[str, Tensor]:
        """Return the mean cross-entropy of the limbs."""
        with torch.autocast("cpu", torch.bfloat16):
            logits = self.network(batch.crops.contiguous(memory_format=torch.channels_last))
        each = functional.binary_cross_entropy_with_logits(logits.float(), batch.left, batch.weight, reduction="sum")
        return {"sides": each / batch.weight.sum().clamp_min(1e-6)}

    def check(self, average: LimbSideNetwork) -> dict[str, float]:
        """Return the share of limbs decided rightly in the held-out rendered scenes, given the people's true masks."""
        return {"sides": limbs_right(average, DATA / "synthetic")}


def first_network(weights: Mapping[str, Tensor]) -> LimbSideNetwork:
    """Create a network from the *weights* of one of its kind, or from the backbone of one that parses."""
    network = LimbSideNetwork()
    if not any(name.startswith(_BACKBONE) for name in weights):
        network.load_state_dict(weights)
        return network
    wanted = network.backbone.state_dict()
    state = {name: weights[_BACKBONE + name] for name in wanted}
    missing = wanted["stem.weight"].shape[1] - state["stem.weight"].shape[1]  # the mask: without effect at first
    state["stem.weight"] = functional.pad(state["stem.weight"], (0, 0, 0, 0, 0, missing))
    network.backbone.load_state_dict(state)
    return network


@torch.inference_mode()
def limbs_right(network: nn.Module, folder: Path) -> float:
    """Return the share of the limbs of the held-out rendered people in *folder* that are decided rightly."""
    right = total = 0
    for scene in filter(rendered.kept_aside, rendered.descriptions(folder)):
        image, values = read_rgb(folder / f"{scene['file']}.jpg"), read_values(folder / f"{scene['file']}.png")
        truths = [truth_of(scene, person, values) for person in scene["people"] if person.get("bbox")]
        for truth in truths:
            cells = cells_of(truth.mask)
            if not truth.counts or not cells.any():
                continue
            window = window_around(cells)
            sides = network(torch.from_numpy(crop(image, cells, window))[None])[0].numpy()
            pixels = in_pixels(window)
            sides = cv2.resize(sides, (pixels.width, pixels.height), interpolation=cv2.INTER_LINEAR)
            classes = cut(np.where(truth.mask, values % PARTS, 0).astype(np.uint8), pixels)
            for pair in MIRRORED:
                for side in pair:
                    limb = classes == side
                    if np.count_nonzero(limb) >= LEAST_SIDE:
                        total += 1
                        right += bool(((sides[limb] > 0).mean() > 0.5) == (side == pair[0]))
    return right / max(1, total)


def add_to(model: Path, network: LimbSideNetwork) -> None:
    """Write *network* into the directory of an exported *model*, and into its manifest.

    The precisions there were judged without it, and have to be judged again.
    """
    file = model / LIMB_SIDES_FILE
    write_limb_sides(network.eval(), file)
    halve_weights(file)
    manifest = read_manifest(model)
    files = manifest.files | {file.name: sha256_of(file)}
    write_manifest(model, structs.replace(manifest, files=files, precisions={}))


def arguments() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=60.0, help="training time in all, resumed runs included")
    parser.add_argument("--stop-after", type=float, help="minutes after which this start ends, the schedule unchanged")
    parser.add_argument("--run", type=Path, default=Path("training/runs/limb_sides"), help="folder of checkpoint, log")
    parser.add_argument("--rate", type=float, default=LEARNING_RATE, help="highest learning rate")
    parser.add_argument("--backbone-share", type=float, default=BACKBONE_SHARE, help="of the rate, for the backbone")
    parser.add_argument("--batch", type=int, default=BATCH, help="people of a step, of all processes together")
    parser.add_argument("--processes", type=int, default=len(os.sched_getaffinity(0)), help="one thread each")
    parser.add_argument(
        "--start", type=Path, default=START, help="initial weights, also to resume; training/start.pt: its backbone"
    )
    parser.add_argument("--weights", type=Path, help="also keep the weights here, for other runs to start from")
    parser.add_argument("--export-only", action="store_true", help="do not train: add START to the exported model")
    parser.add_argument("--out", type=Path, default=OUT, help="directory of the exported model")
    return parser.parse_args()


def take_part(chosen: argparse.Namespace, team: Team) -> None:
    """Run one process of the run."""
    torch.set_num_threads(1)
    values = {one.name: getattr(chosen, one.name) for one in fields(Plan)}
    trainer = Trainer(Plan(**values), team, LimbSideTask(chosen.start))
    share = Share(chosen.batch, team.rank, team.size)
    train(trainer, LimbCrops(CACHE, share, seed=trainer.done.step))


def main() -> None:
    """Parse the arguments, prepare the cache, train and export."""
    chosen = arguments()
    if chosen.export_only:
        add_to(chosen.out, first_network(read_weights(chosen.start)))
        return
    cache.build(DATA, CACHE)
    rendered.build([DATA / "synthetic", CACHE / "scenes"], CACHE)
    found_people.build(chosen.out, CACHE)
    chosen.run.mkdir(parents=True, exist_ok=True)
    work_together(chosen.processes, partial(take_part, chosen))
    weights = averaged_weights(chosen.run)
    if chosen.weights is not None:
        save_weights(weights, chosen.weights)
    add_to(chosen.out, first_network(weights))


if __name__ == "__main__":
    main()
