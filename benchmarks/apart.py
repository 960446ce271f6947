"""Measurements in a subprocess, with the environment and thread limits of a model process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

from edge_worker.common.errors import EdgeWorkerError

if TYPE_CHECKING:
    from collections.abc import Mapping


def measured_apart(module: str, order: Mapping[str, Any], environment: Mapping[str, str]) -> Any:  # noqa: ANN401
    """Run ``python -m module ORDER`` and return its last line; both are JSON.

    Raises:
        EdgeWorkerError: it failed.
    """
    done = subprocess.run(  # noqa: S603 - our own program
        (sys.executable, "-m", module, json.dumps(order)),
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise EdgeWorkerError(f"{module} cannot measure here: {done.stderr.strip().splitlines()[-1:]}")
    return json.loads(done.stdout.splitlines()[-1])
