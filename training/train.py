"""Train m2fp-lite: `python -m training.train --minutes 100`; the same command again resumes."""

from __future__ import annotations

import argparse
import copy
import itertools
import json
import math
import os
import time
from dataclasses import asdict, dataclass, field, fields
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from edge_worker.m2fp.network.efficientnet import EfficientNetLite
from training import cache, rendered
from training.batches import Batches, Share
from training.check import check
from training.curve import draw_curve
from training.frozen_norms import fold_norms, freeze_early
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

if TYPE_CHECKING:
    from training.batches import Batch

DATA = Path("../shared/data")
INIT = Path("../shared/m2fp/init/shufflenetv2.pth")
CACHE = Path("training/cache")

BATCH = 16
LEARNING_RATE = 1e-3
BACKBONE_SHARE = 0.5  # factor of the learning rate for the pretrained backbone
WARMUP = 0.03  # share of the time
WEIGHT_DECAY = 0.03
CLIP = 5.0  # maximum gradient norm
EMA_DECAY = 0.999
SAVE_S = 240.0
CHECK_S = 900.0


@dataclass(frozen=True)
class Plan:
    """Options of a run.

    Attributes:
        run: its folder.
        minutes: total training time, including resumed runs; the learning rate follows it.
        stop_after: minutes after which this invocation ends; None: at the end.
        start: initial weights; None for an ImageNet backbone. Also required to resume.
        rate: maximum learning rate.
        backbone_share: factor of it for the backbone.
    """

    run: Path
    minutes: float
    stop_after: float | None
    start: Path | None
    rate: float
    backbone_share: float


@dataclass
class Progressed:
    """Progress of a run, from which it can be resumed."""

    step: int = 0
    seconds: float = 0.0
    history: list[dict[str, float]] = field(default_factory=list)


class Trainer:
    """One run: the student, its running average, the optimiser and the progress."""

    def __init__(self, plan: Plan, team: Team) -> None:
        """Resume from `plan.run/checkpoint.pt`, or start a new run (from the weights in `plan.start`, if given)."""
        self.plan, self.run, self.team = plan, plan.run, team
        self.until = 60 * (plan.stop_after or plan.minutes)
        self.student = first_student(plan.start)
        self.average = copy.deepcopy(self.student).eval().requires_grad_(requires_grad=False)
        fold_norms(self.student.network.backbone)
        self.optimiser = torch.optim.AdamW(parameter_groups(self.student, plan.backbone_share), fused=True)
        self.make_targets = TargetMaker()
        self.criterion = Criterion(Weights(), self.make_targets.allowed, anchors())
        self.done = Progressed()
        self._since = time.monotonic()
        if (plan.run / "checkpoint.pt").exists():
            self._load()

    def step(self, batch: Batch) -> dict[str, float]:
        """Do one update; returns the losses."""
        self._set_rate()
        targets = self.make_targets(batch.labels, batch.persons)
        with torch.autocast("cpu", torch.bfloat16):
            deep = self.student(normalise(batch.images))
        losses = self.criterion(deep, targets)
        self.optimiser.zero_grad()
        sum(losses.values(), torch.zeros(())).backward()  # type: ignore[no-untyped-call]
        gradients = [parameter.grad for parameter in self.student.parameters() if parameter.grad is not None]
        self.done.seconds = self.team.share(gradients, self._seconds())
        torch.nn.utils.clip_grad_norm_(self.student.parameters(), CLIP)
        self.optimiser.step()
        self._follow()
        self.done.step += 1
        return {name: float(value.detach()) for name, value in losses.items()}

    def _seconds(self) -> float:
        """Return the seconds that the run has taken so far, including the composing of batches."""
        since, self._since = self._since, time.monotonic()
        return self.done.seconds + self._since - since

    def _set_rate(self) -> None:
        rate = self.plan.rate * schedule(self.done.seconds / (60 * self.plan.minutes))
        for group in self.optimiser.param_groups:
            group["lr"] = rate * group["share"]

    @torch.no_grad()
    def _follow(self) -> None:
        """Update the average of the student's weights, including buffers, so that BatchNorm's statistics fit it."""
        decay = min(EMA_DECAY, (1 + self.done.step) / (10 + self.done.step))
        ours, theirs = self.average.state_dict(), self.student.state_dict()
        pairs = [(ours[name], value) for name, value in theirs.items() if value.is_floating_point()]
        torch._foreach_lerp_([a for a, _ in pairs], [b for _, b in pairs], 1 - decay)

    def save(self) -> None:
        """Write the checkpoint atomically."""
        content = {
            "student": self.student.state_dict(),
            "average": self.average.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "done": asdict(self.done),
        }
        torch.save(content, self.run / "checkpoint.tmp")
        (self.run / "checkpoint.tmp").replace(self.run / "checkpoint.pt")

    def _load(self) -> None:
        content: Any = torch.load(self.run / "checkpoint.pt", map_location="cpu", weights_only=True)
        self.student.load_state_dict(content["student"])
        self.average.load_state_dict(content["average"])
        self.optimiser.load_state_dict(content["optimiser"])
        self.done = Progressed(**content["done"])


def first_student(start: Path | None) -> Student:
    """Create a student with the weights in *start*, or with an ImageNet backbone if available."""
    if start is None:
        return new_student(INIT if INIT.exists() else None)
    student = new_student(None, configuration_of(read_weights(start)))
    load_weights(student, start)
    if isinstance(student.network.backbone, EfficientNetLite):
        freeze_early(student.network.backbone)
    return student


def parameter_groups(student: Student, backbone_share: float) -> list[dict[str, Any]]:
    """Return backbone and the rest, each with and without weight decay (none on norms, biases and embeddings)."""
    groups = []
    for backbone, decayed in itertools.product((True, False), repeat=2):
        chosen = [
            parameter
            for name, parameter in student.named_parameters()
            if name.startswith("network.backbone") == backbone
            and (parameter.ndim > 1 and "embed.weight" not in name and "query" not in name) == decayed
        ]
        share = backbone_share if backbone else 1.0
        groups.append({"params": chosen, "share": share, "weight_decay": WEIGHT_DECAY if decayed else 0.0})
    return groups


def schedule(part: float) -> float:
    """Return the factor of the learning rate after `part` (0…1) of the time: a warm-up, then half a cosine."""
    if part < WARMUP:
        return 0.02 + 0.98 * part / WARMUP
    return 0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * min(1.0, (part - WARMUP) / (1 - WARMUP))))


def train(trainer: Trainer, batches: Batches) -> None:
    """Train until the time is over; save, check and plot at intervals."""
    saved = checked = time.monotonic()
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn(), TimeRemainingColumn())
    leads = trainer.team.leads
    with Progress(*columns, disable=not leads) as progress:
        task = progress.add_task("training", total=trainer.until)
        for batch in batches:
            losses = trainer.step(batch)
            if leads and trainer.done.step % 20 == 0:
                note(trainer, losses)
            text = f"step {trainer.done.step}  loss {sum(losses.values()):.2f}"
            progress.update(task, completed=trainer.done.seconds, description=text)
            over = trainer.done.seconds >= trainer.until
            if leads and (over or time.monotonic() - saved > SAVE_S):
                trainer.save()
                saved = time.monotonic()
            if leads and (over or time.monotonic() - checked > CHECK_S):
                report(trainer)
                checked = time.monotonic()
            if over:
                break


def note(trainer: Trainer, losses: dict[str, float]) -> None:
    """Append the losses of a step to the log."""
    line = {
        "step": trainer.done.step,
        "seconds": round(trainer.done.seconds, 1),
        **losses,
    }
    with (trainer.run / "losses.jsonl").open("a", encoding="utf-8") as file:
        file.write(json.dumps({name: round(value, 4) for name, value in line.items()}) + "\n")


def report(trainer: Trainer) -> None:
    """Evaluate the average on the validation photos, log the result and plot the curve."""
    found = {"step": float(trainer.done.step), **check(trainer.average.network, CACHE)}
    trainer.done.history.append(found)
    print(json.dumps({name: round(value, 4) for name, value in found.items()}), flush=True)
    draw_curve(trainer.run / "losses.jsonl", trainer.done.history, trainer.run / "curve.png")


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
    trainer = Trainer(Plan(**values), team)
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
