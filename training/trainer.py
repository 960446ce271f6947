"""The training of a network, whichever it is: optimiser, learning rate, running average, checkpoints, log and curve."""

from __future__ import annotations

import copy
import itertools
import json
import math
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

import torch
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from training.curve import draw_curve
from training.frozen_norms import fold_norms

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from torch import Tensor, nn

    from edge_worker.m2fp.network.backbone import Backbone
    from training.team import Team

DATA = Path("../shared/data")
CACHE = Path("training/cache")

WARMUP = 0.03  # share of the time
WEIGHT_DECAY = 0.03
CLIP = 5.0  # maximum gradient norm
EMA_DECAY = 0.999
SAVE_S = 240.0
CHECK_S = 900.0

NetworkT = TypeVar("NetworkT", bound="nn.Module")
BatchT_contra = TypeVar("BatchT_contra", contravariant=True)


class Task(Protocol[NetworkT, BatchT_contra]):
    """What is trained: a network, its losses and its check."""

    network: NetworkT

    def backbone(self, network: NetworkT) -> Backbone:
        """Return the backbone of *network*, which is pretrained."""

    def losses(self, batch: BatchT_contra) -> dict[str, Tensor]:
        """Run the network on a batch; returns the losses, whose sum is minimised."""

    def check(self, average: NetworkT) -> Mapping[str, float]:
        """Return figures of the averaged network on held-out data."""


@dataclass(frozen=True)
class Plan:
    """Options of a run.

    Attributes:
        run: its folder.
        minutes: total training time, including resumed runs; the learning rate follows it.
        stop_after: minutes after which this invocation ends; None: at the end.
        rate: maximum learning rate.
        backbone_share: factor of it for the backbone.
    """

    run: Path
    minutes: float
    stop_after: float | None
    rate: float
    backbone_share: float


@dataclass
class Progressed:
    """Progress of a run, from which it can be resumed."""

    step: int = 0
    seconds: float = 0.0
    history: list[dict[str, float]] = field(default_factory=list)


class Trainer(Generic[NetworkT, BatchT_contra]):
    """One run: the network, its running average, the optimiser and the progress."""

    def __init__(self, plan: Plan, team: Team, task: Task[NetworkT, BatchT_contra]) -> None:
        """Resume from `plan.run/checkpoint.pt`, or start a new run from the weights that the task's network has."""
        self.plan, self.run, self.team, self.task = plan, plan.run, team, task
        self.until = 60 * (plan.stop_after or plan.minutes)
        self.network = task.network
        self.average = copy.deepcopy(self.network).eval().requires_grad_(requires_grad=False)
        backbone = task.backbone(self.network)
        fold_norms(backbone)
        self.optimiser = torch.optim.AdamW(parameter_groups(self.network, backbone, plan.backbone_share), fused=True)
        self.done = Progressed()
        self._since = time.monotonic()
        if (plan.run / "checkpoint.pt").exists():
            self._load()

    def step(self, batch: BatchT_contra) -> dict[str, float]:
        """Do one update; returns the losses."""
        self._set_rate()
        losses = self.task.losses(batch)
        self.optimiser.zero_grad()
        sum(losses.values(), torch.zeros(())).backward()  # type: ignore[no-untyped-call]
        gradients = [parameter.grad for parameter in self.network.parameters() if parameter.grad is not None]
        self.done.seconds = self.team.share(gradients, self._seconds())
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), CLIP)
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
        """Update the average of the weights, including buffers, so that BatchNorm's statistics fit it."""
        decay = min(EMA_DECAY, (1 + self.done.step) / (10 + self.done.step))
        ours, theirs = self.average.state_dict(), self.network.state_dict()
        pairs = [(ours[name], value) for name, value in theirs.items() if value.is_floating_point()]
        torch._foreach_lerp_([a for a, _ in pairs], [b for _, b in pairs], 1 - decay)

    def save(self) -> None:
        """Write the checkpoint atomically."""
        content = {
            "network": self.network.state_dict(),
            "average": self.average.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "done": asdict(self.done),
        }
        torch.save(content, self.run / "checkpoint.tmp")
        (self.run / "checkpoint.tmp").replace(self.run / "checkpoint.pt")

    def _load(self) -> None:
        content: Any = torch.load(self.run / "checkpoint.pt", map_location="cpu", weights_only=True)
        self.network.load_state_dict(content["network"])
        self.average.load_state_dict(content["average"])
        self.optimiser.load_state_dict(content["optimiser"])
        self.done = Progressed(**content["done"])


def averaged_weights(run: Path) -> dict[str, Tensor]:
    """Return the averaged weights of a run's checkpoint."""
    content: Any = torch.load(run / "checkpoint.pt", map_location="cpu", weights_only=True)
    return dict(content["average"])


def parameter_groups(network: nn.Module, backbone: nn.Module, backbone_share: float) -> list[dict[str, Any]]:
    """Return backbone and the rest, each with and without weight decay (none on norms, biases and embeddings)."""
    of_backbone = {id(parameter) for parameter in backbone.parameters()}
    groups = []
    for in_backbone, decayed in itertools.product((True, False), repeat=2):
        chosen = [
            parameter
            for name, parameter in network.named_parameters()
            if (id(parameter) in of_backbone) == in_backbone
            and (parameter.ndim > 1 and "embed.weight" not in name and "query" not in name) == decayed
        ]
        share = backbone_share if in_backbone else 1.0
        groups.append({"params": chosen, "share": share, "weight_decay": WEIGHT_DECAY if decayed else 0.0})
    return groups


def schedule(part: float) -> float:
    """Return the factor of the learning rate after `part` (0…1) of the time: a warm-up, then half a cosine."""
    if part < WARMUP:
        return 0.02 + 0.98 * part / WARMUP
    return 0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * min(1.0, (part - WARMUP) / (1 - WARMUP))))


def train(trainer: Trainer[Any, BatchT_contra], batches: Iterable[BatchT_contra]) -> None:
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


def note(trainer: Trainer[Any, Any], losses: dict[str, float]) -> None:
    """Append the losses of a step to the log."""
    line = {
        "step": trainer.done.step,
        "seconds": round(trainer.done.seconds, 1),
        **losses,
    }
    with (trainer.run / "losses.jsonl").open("a", encoding="utf-8") as file:
        file.write(json.dumps({name: round(value, 4) for name, value in line.items()}) + "\n")


def report(trainer: Trainer[Any, Any]) -> None:
    """Check the average, log the figures and plot the curve."""
    found = {"step": float(trainer.done.step), **trainer.task.check(trainer.average)}
    trainer.done.history.append(found)
    print(json.dumps({name: round(value, 4) for name, value in found.items()}), flush=True)
    draw_curve(trainer.run / "losses.jsonl", trainer.done.history, trainer.run / "curve.png")
