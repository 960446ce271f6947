"""``python -m interop``: try the brokers that are installed, and write the table."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

from interop import report, trial
from interop.servers import SERVERS
from interop.trial import Outcome

if TYPE_CHECKING:
    from interop.servers import Server

PAGE: Final = Path(__file__).resolve().parents[2] / "docs" / "brokers.md"


def main() -> int:
    """Run as the command line says; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m interop", description=__doc__)
    parser.add_argument("--frames", type=int, default=100, help="to send to each broker (default 100)")
    names = [server.name for server in SERVERS]
    help_text = f"these of {', '.join(names)}; to the terminal alone"
    parser.add_argument("--only", nargs="+", metavar="NAME", choices=names, help=help_text)
    options = parser.parse_args()
    os.environ.pop("PYTHONPATH", None)  # by which this program was found; the workers it starts are installed
    outcomes = []
    for server in SERVERS:
        if options.only and server.name not in options.only:
            continue
        if not server.is_installed():
            sys.stderr.write(f"{server.name} is not installed, and left out\n")
            continue
        sys.stderr.write(f"{server.name} …\n")
        outcomes.append(_try(server, options.frames))
    sys.stdout.write(report.table(outcomes))
    if not options.only:
        report.write(PAGE, outcomes)
    return 0


def _try(kind: type[Server], frames: int) -> Outcome:
    """Give a broker on which the trial fails a row that says so."""
    with tempfile.TemporaryDirectory(prefix="interop-") as place:
        server = kind(Path(place) / "broker")
        try:
            return trial.run(server, Path(place) / "worker", frames)
        except (AssertionError, OSError, subprocess.SubprocessError) as error:
            return Outcome(kind.name, server.version(), 0, frames, f"failed: {error}")


if __name__ == "__main__":
    raise SystemExit(main())
