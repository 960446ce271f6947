"""From the photos to the shipped file in one go: `python -m training.all`; started again it goes on."""

from __future__ import annotations

import argparse
import subprocess
import sys

SMALL_SHARE = 0.6  # of the time, at three quarters of the size and on the labelled photos alone


def steps(minutes: float, run: str) -> list[list[str]]:
    """The commands of README.md, one after the other."""
    return [
        [
            "train",
            "--run",
            run,
            "--minutes",
            str(minutes),
            "--stop-after",
            str(minutes * SMALL_SHARE),
            "--scale",
            "0.75",
        ],
        ["pseudo", "--run", run],
        ["train", "--run", run, "--minutes", str(minutes), "--pseudo"],
        ["export", "--run", run],
        ["evaluate"],
    ]


def main() -> None:
    """Read the arguments, run the steps; the first that fails ends it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=80.0)
    parser.add_argument("--run", default="training/runs/lite")
    arguments = parser.parse_args()
    for name, *rest in steps(arguments.minutes, arguments.run):
        subprocess.run([sys.executable, "-m", f"training.{name}", *rest], check=True)  # noqa: S603


if __name__ == "__main__":
    main()
