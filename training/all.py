"""From the photos to the shipped file in one go: `python -m training.all --minutes 420`; started again it goes on."""

from __future__ import annotations

import argparse
import subprocess
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

# Of the time: until when, at which picture size, and whether on the photos of training.pseudo too.
STAGES = ((0.5, 0.75, False), (0.8, 0.875, True), (1.0, 1.0, True))


def steps(minutes: float, run: str) -> Iterator[list[str]]:
    """The commands of README.md, in turn; pseudo-labels are made anew for each stage that learns from them."""
    for until, scale, pseudo in STAGES:
        if pseudo:
            yield ["pseudo", "--run", run]
        train = ["train", "--run", run, "--minutes", str(minutes), "--stop-after", str(minutes * until)]
        yield [*train, "--scale", str(scale), *(["--pseudo"] if pseudo else [])]
    yield ["export", "--run", run]
    yield ["evaluate"]


def main() -> None:
    """Read the arguments, run the steps; the first that fails ends it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=420.0, help="training time in all (default: 420)")
    parser.add_argument("--run", default="training/runs/lite")
    arguments = parser.parse_args()
    for name, *rest in steps(arguments.minutes, arguments.run):
        subprocess.run([sys.executable, "-m", f"training.{name}", *rest], check=True)  # noqa: S603


if __name__ == "__main__":
    main()
