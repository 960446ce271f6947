"""A model that takes its time without the processor's: on a busy machine a real one would measure its neighbours.

As in :mod:`chaos.crash_hook` a ``sitecustomize`` on the worker's PYTHONPATH reaches the model process, and there holds
every frame up before the real model gets it. The product knows nothing of it.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

from chaos.crash_hook import REPOSITORY

if TYPE_CHECKING:
    from pathlib import Path

_SOURCE: Final = """\
import sys, time

if "edge_worker.inference.main" in sys.orig_argv:
    from edge_worker.inference.ipc import Channel

    receive = Channel.receive

    def receive_slowly(self, *arguments):
        header, blobs = receive(self, *arguments)
        if header.get("type") == "frame":
            time.sleep({seconds!r})
        return header, blobs

    Channel.receive = receive_slowly
"""


def slow_model(directory: Path, seconds: float) -> dict[str, str]:
    """Write the hook to *directory*; returns the environment of a worker whose frames take *seconds* longer."""
    (directory / "sitecustomize.py").write_text(_SOURCE.format(seconds=seconds), encoding="utf-8")
    return {"PYTHONPATH": os.pathsep.join([str(directory), str(REPOSITORY)])}
