"""Standard output and standard error: closed ones, odd encodings, readers that have gone, full disks."""

from __future__ import annotations

import io
import os
import sys
from pathlib import Path
from typing import TextIO


def open_what_is_closed() -> None:
    """Send to nowhere what would be written to a closed stream (``>&-``, some service managers).

    Python has None there, and the descriptor would be that of the next file or connection.
    """
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, Path(os.devnull).open("w", encoding="utf-8"))  # noqa: SIM115 - until the process ends


def write_whatever_the_encoding(stream: TextIO) -> None:
    """Have *stream* write what its encoding lacks as an escape: a word is better than none, in ASCII too."""
    if isinstance(stream, io.TextIOWrapper):
        stream.reconfigure(errors="backslashreplace")


def drop_what_cannot_be_written(stream: TextIO) -> None:
    """Empty *stream*: into its file, or, where a reader has gone or a disk is full, into nothing.

    Python would try again while it exits, and end with a code of its own (120).
    """
    try:
        stream.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
