"""Standard output and standard error that are closed, cannot encode a character, or have no reader or a full disk."""

from __future__ import annotations

import io
import os
import sys
from pathlib import Path
from typing import TextIO


def open_what_is_closed() -> None:
    """Replace closed streams (``>&-``, some service managers) by the null device.

    Python sets them to None, and the next file or connection would get their descriptor.
    """
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, Path(os.devnull).open("w", encoding="utf-8"))  # noqa: SIM115 - until the process ends


def write_whatever_the_encoding(stream: TextIO) -> None:
    """Let *stream* write characters that its encoding lacks as escapes, instead of raising an error."""
    if isinstance(stream, io.TextIOWrapper):
        stream.reconfigure(errors="backslashreplace")


def drop_what_cannot_be_written(stream: TextIO) -> None:
    """Flush *stream*; if its reader is gone or the disk is full, discard what it has buffered.

    Otherwise Python would try again at exit, and end with exit code 120.
    """
    try:
        stream.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
