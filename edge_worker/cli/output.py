"""Standard output and standard error: encodings that lack a character, readers that have gone, full disks."""

from __future__ import annotations

import io
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import TextIO


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
