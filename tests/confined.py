"""Runs code in a sandboxed process, to test what it can still do."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from edge_worker.ops.sandbox import Sandbox

LIMIT_S: Final = 60.0
# Enters the sandbox, then evaluates each expression of the second argument and prints the outcome.
_PROGRAM: Final = """
import concurrent.futures, json, os, resource, socket, subprocess, sys, tempfile
from edge_worker.ops.sandbox import Sandbox

said = Sandbox.from_wire(json.loads(sys.argv[1])).enter()
outcomes = []
for code in json.loads(sys.argv[2]):
    try:
        outcomes.append(repr(eval(code)))
    except BaseException as error:
        outcomes.append(type(error).__name__)
os.write(1, json.dumps([said, outcomes]).encode())
"""


def attempt(sandbox: Sandbox, *expressions: str) -> tuple[dict[str, str], list[str]]:
    """Evaluate Python *expressions* in the *sandbox*; they may use the modules that the program above imports.

    Returns:
        The result of :meth:`Sandbox.enter`, and for each expression the ``repr`` of its value or its exception's name.
    """
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM, json.dumps(asdict(sandbox)), json.dumps(expressions)],
        check=True,
        capture_output=True,
        timeout=LIMIT_S,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])},
    )
    said, outcomes = json.loads(done.stdout)
    return said, outcomes
