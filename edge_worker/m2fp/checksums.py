"""``SHA256SUMS`` of a checkpoint directory: what its files were when they were fetched, as sha256sum(1) writes it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from edge_worker.errors import CheckpointError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

SUMS_FILE = "SHA256SUMS"

# First bytes of what Git keeps in place of a large file: a text of three lines that says where the file is.
_LFS_POINTER = b"version https://git-lfs.github.com/spec/"

_LINE = re.compile(r"([0-9a-f]{64}) [ *]([^/\s][^/]*)")


def read_sums(directory: Path) -> dict[str, str]:
    """SHA-256, hex, by the name of a file in *directory*; empty where nothing was pinned.

    Raises:
        CheckpointError: the list cannot be read, or names files elsewhere.
    """
    file = directory / SUMS_FILE
    try:
        lines = file.read_text(encoding="utf-8").splitlines() if file.is_file() else []
    except (OSError, UnicodeDecodeError) as error:
        raise CheckpointError(f"{file}: cannot be read: {error}") from error
    found = [_LINE.fullmatch(line) for line in lines]
    if None in found:
        raise CheckpointError(f"{file}:{found.index(None) + 1}: not a line of sha256sum with a file beside it")
    return {line[2]: line[1] for line in found if line}


def refuse_lfs_pointer(file: Path, start: bytes) -> None:
    """Look at the *start* of a *file*: a repository cloned without Git LFS has pointers in place of the weights.

    Raises:
        CheckpointError: it is a pointer.
    """
    if start.startswith(_LFS_POINTER):
        raise CheckpointError(
            f"{file}: a Git LFS pointer, not the file itself: run `git lfs pull` in the repository that it came from"
        )


def write_sums(directory: Path, sums: Mapping[str, str]) -> None:
    """Pin files of *directory*, given as :func:`read_sums` returns them."""
    text = "".join(f"{digest}  {name}\n" for name, digest in sorted(sums.items()))
    (directory / SUMS_FILE).write_text(text, encoding="utf-8")
