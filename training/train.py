"""Train m2fp-lite: `python -m training.train --minutes 100`; the same command again resumes."""

from __future__ import annotations

import argparse
import os
from dataclasses import fields
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from edge_worker.m2fp.network.efficientnet import EfficientNetLite
from training import cache, rendered
from training.batches import Batches, Share
from training.check import check
from training.frozen_norms import freeze_early
from training.losses import Criterion, TargetMaker, Weights
from training.model import (
    Student,
    anchors,
    configuration_of,
    load_weights,
    new_student,
    normalise,
    read_weights,
)
from training.team import Team, work_together
from training.trainer import CACHE, DATA, Plan, Trainer, train

if TYPE_CHECKING:
    from torch import Tensor

    from edge_worker.m2fp.network.backbone import Backbone
    from training.batches import Batch

INIT = Path("../shared/m2fp/init/shufflenetv2.pth")

BATCH = 16
LEARNING_RATE = 1e-3
BACKBONE_SHARE = 0.5  # factor of the learning rate for the pretrained backbone


class Parsing:
    """The network that parses frames."""

    def __init__(self, start: Path | None) -> None:
        """Start from the weights in *start*, or with an ImageNet backbone if available."""
        self.network = first_student(start)
        self._make_targets = TargetMaker()
        self._criterion = Criterion(Weights(), self._make_targets.allowed, anchors())

    def backbone(self, network: Student) -> Backbone:
        """Return the backbone of *network*."""
        return network.network.backbone

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        """Run the network on a batch; returns the losses."""
        targets = self._make_targets(batch.labels, batch.persons)
        with torch.autocast("cpu", torch.bfloat16):
            deep = self.network(normalise(batch.images))
        return self._criterion(deep, targets)

    def check(self, average: Student) -> dict[str, float]:
        """Return figures of the averaged network on the validation photos."""
        return check(average.network, CACHE)


def first_student(start: Path | None) -> Student:
    """Create a student with the weights in *start*, or with an ImageNet backbone if available."""
    if start is None:
        return new_student(INIT if INIT.exists() else None)
    student = new_student(None, configuration_of(read_weights(start)))
    load_weights(student, start)
    if isinstance(student.network.backbone, EfficientNetLite):
        freeze_early(student.network.backbone)
    return student


def arguments() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=100.0, help="training time in all, resumed runs included")
    parser.add_argument("--stop-after", type=float, help="minutes after which this start ends, the schedule unchanged")
    parser.add_argument("--done", type=float, help="count the run as this far (minutes): train on at a higher rate")
    parser.add_argument("--run", type=Path, default=Path("training/runs/lite"), help="folder of checkpoint, log, curve")
    parser.add_argument(
        "--scale", type=float, nargs="+", default=[1.0], help="picture sizes, as shares of the usual, by turns"
    )
    parser.add_argument("--rate", type=float, default=LEARNING_RATE, help="highest learning rate")
    parser.add_argument("--backbone-share", type=float, default=BACKBONE_SHARE, help="of the rate, for the backbone")
    parser.add_argument("--batch", type=int, default=BATCH, help="pictures of a step, of all processes together")
    parser.add_argument("--pseudo", action="store_true", help="also the tagged photos, labelled by training.pseudo")
    parser.add_argument("--processes", type=int, default=len(os.sched_getaffinity(0)), help="one thread each")
    parser.add_argument("--start", type=Path, help="weights for a new run, such as training/start.pt")
    return parser.parse_args()


def take_part(chosen: argparse.Namespace, team: Team) -> None:
    """Run one process of the run."""
    torch.set_num_threads(1)
    values = {one.name: getattr(chosen, one.name) for one in fields(Plan)}
    trainer = Trainer(Plan(**values), team, Parsing(chosen.start))
    if chosen.done is not None:
        trainer.done.seconds = 60 * chosen.done
    share = Share(chosen.batch, team.rank, team.size)
    batches = Batches(CACHE, DATA, share, seed=trainer.done.step, scales=chosen.scale, pseudo=chosen.pseudo)
    train(trainer, batches)


def main() -> None:
    """Parse the arguments, prepare the cache, train."""
    chosen = arguments()
    cache.build(DATA, CACHE)
    rendered.build([DATA / "synthetic", CACHE / "scenes"], CACHE)
    chosen.run.mkdir(parents=True, exist_ok=True)
    work_together(chosen.processes, partial(take_part, chosen))


if __name__ == "__main__":
    main()
