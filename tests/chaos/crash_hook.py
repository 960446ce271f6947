"""An image that crashes the model process: no such image is known, so one is marked and a hook reads the mark.

The hook is a ``sitecustomize`` on the PYTHONPATH of the worker, which hands it on to the model process. There it looks
at what comes over the channel, and takes a marked frame for one that makes native code read from address 0. The product
knows nothing of it.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

MARK: Final = b"crash the model process: "
NUMBER_DIGITS: Final = 8
REPOSITORY: Final = Path(__file__).resolve().parents[2]

_SOURCE: Final = """\
import ctypes, os, sys

if "edge_worker.inference.main" in sys.orig_argv:
    from edge_worker.inference.ipc import Channel

    LOG = os.open({log!r}, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    receive = Channel.receive

    def receive_or_crash(self, *arguments):
        header, blobs = receive(self, *arguments)
        for blob in blobs:
            if {mark!r} in bytes(blob[-64:]):
                os.write(LOG, bytes(blob[-{digits}:]) + b"\\n")
                ctypes.string_at(0)
        return header, blobs

    Channel.receive = receive_or_crash
"""


class CrashHook:
    """Written to a directory of its own; remembers which marked frame reached a model process how often."""

    def __init__(self, directory: Path) -> None:
        """Write the hook."""
        self._log = directory / "crashes.txt"
        self._directory = directory
        source = _SOURCE.format(log=str(self._log), mark=MARK, digits=NUMBER_DIGITS)
        (directory / "sitecustomize.py").write_text(source, encoding="utf-8")

    @property
    def environment(self) -> dict[str, str]:
        """What a worker must be started with."""
        return {"PYTHONPATH": os.pathsep.join([str(self._directory), str(REPOSITORY)])}

    def crashes(self, number: int) -> int:
        """How often the frame marked with *number* crashed a model process."""
        lines = self._log.read_text(encoding="ascii").split() if self._log.exists() else []
        return lines.count(_digits(number))


def marked(payload: bytes, number: int) -> bytes:
    """Mark an image; decoders do not look at what comes after its end."""
    return payload + MARK + _digits(number).encode()


def _digits(number: int) -> str:
    return str(number).zfill(NUMBER_DIGITS)
