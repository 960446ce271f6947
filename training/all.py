"""Run all steps from the data to the shipped file: `python -m training.all --minutes 420`; run it again to resume."""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from training.cache import PSEUDO_LABELS

if TYPE_CHECKING:
    from collections.abc import Iterator

START = "training/start.pt"
CACHE = Path("training/cache")
SCENES = CACHE / "scenes"
FIRST_SCENE, CHUNK = 400_000, 200  # first number of the rendered scenes; scenes per command
RATE = "8e-4"
SIDES_SHARE = 0.15  # of the time, for the network that decides left and right
# Stages of the other one: share of its time at which each ends, and its image scales.
STAGES = ((0.7, ("0.75", "1.0")), (1.0, ("0.75", "0.875", "1.0")))


def rendering(count: int) -> Iterator[list[str]]:
    """Yield the commands that render scenes, in chunks; existing chunks are skipped."""
    for first in range(FIRST_SCENE, FIRST_SCENE + count, CHUNK):
        end = min(first + CHUNK, FIRST_SCENE + count)
        if not (SCENES / f"scenes_{first}_{end}.jsonl").exists():
            yield ["synthetic", "--out", str(SCENES), "--from", str(first), "--to", str(end)]


def steps(minutes: float, run: str) -> Iterator[list[str]]:
    """Yield the commands of README.md in order; pseudo-labels are kept while they are newer than START."""
    labels = CACHE / PSEUDO_LABELS
    if not labels.exists() or labels.stat().st_mtime < Path(START).stat().st_mtime:
        yield ["pseudo", "--weights", START]
    parsing, sides = minutes * (1 - SIDES_SHARE), minutes * SIDES_SHARE
    for until, scales in STAGES:
        train = ["train", "--run", run, "--start", START, "--minutes", str(parsing), "--rate", RATE, "--pseudo"]
        yield [*train, "--stop-after", str(parsing * until), "--scale", *scales]
    yield ["export", "--run", run]
    yield ["limb_sides", "--run", f"{run}-limb-sides", "--minutes", str(sides)]
    yield ["quantise"]
    yield ["evaluate"]


def main() -> None:
    """Parse the arguments and run the steps until one fails."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=420.0, help="training time in all (default: 420)")
    parser.add_argument("--run", default="training/runs/lite")
    parser.add_argument("--scenes", type=int, default=8800, help="rendered scenes besides the shared ones")
    arguments = parser.parse_args()
    for name, *rest in [*rendering(arguments.scenes), *steps(arguments.minutes, arguments.run)]:
        subprocess.run([sys.executable, "-m", f"training.{name}", *rest], check=True)  # noqa: S603


if __name__ == "__main__":
    main()
