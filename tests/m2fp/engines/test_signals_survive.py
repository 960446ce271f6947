"""A program that uses engines can still be stopped by a signal."""

from __future__ import annotations

import subprocess
import sys

import pytest

# Two engines overlap; the one that came first goes first.
PROGRAM = """
import gc, os, signal
from edge_worker.m2fp.parser import load_parser
first = load_parser("builtin:seeded", "openvino", PRECISION)
second = load_parser("builtin:seeded", "openvino", PRECISION)
first.close(); del first; gc.collect()
second.close(); del second; gc.collect()
signal.signal(signal.SIGTERM, lambda *_: print("handled"))
os.kill(os.getpid(), signal.SIGTERM)
"""


@pytest.mark.parametrize("precision", ["f32", "auto"])
def test_engines_that_came_and_went_leave_signals_alone(precision: str) -> None:
    """A handler runs after engines were closed in another order than reversed: OpenVINO's signal stacks stay."""
    program = PROGRAM.replace("PRECISION", repr(precision))
    done = subprocess.run([sys.executable, "-c", program], check=False, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "handled\n"), done.stderr
