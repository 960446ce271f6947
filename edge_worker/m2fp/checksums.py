"""SHA-256 of files, and ``SHA256SUMS`` (sha256sum(1) format), which pins the files of a downloaded checkpoint."""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING

from edge_worker.common.errors import CheckpointError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

SUMS_FILE = "SHA256SUMS"

_CHUNK = 1 << 20  # bytes read at a time when hashing

# First bytes of a Git LFS pointer, the short text file that Git stores in place of a large file.
_LFS_POINTER = b"version https://git-lfs.github.com/spec/"

_LINE = re.compile(r"([0-9a-f]{64}) [ *]([^/\s][^/]*)")


def sha256_of(file: Path) -> str:
    """Return the SHA-256 of a file, hex.

    Raises:
        CheckpointError: the file is unreadable or a Git LFS pointer.
    """
    digest = hashlib.sha256()
    try:
        with file.open("rb") as stream:
            refuse_lfs_pointer(file, stream.peek(_CHUNK))
            while chunk := stream.read(_CHUNK):
                digest.update(chunk)
    except OSError as error:
        raise CheckpointError(f"{file}: {error.strerror}") from error
    return digest.hexdigest()


def read_sums(directory: Path) -> dict[str, str]:
    """Return the pinned SHA-256 (hex) of each file in *directory* by name; empty without a list.

    Raises:
        CheckpointError: the list is unreadable or malformed, or names files outside the directory.
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
    """Refuse a *file* whose *start* is a Git LFS pointer, as left by a clone without Git LFS.

    Raises:
        CheckpointError: the file is a pointer.
    """
    if start.startswith(_LFS_POINTER):
        raise CheckpointError(
            f"{file}: a Git LFS pointer, not the file itself: run `git lfs pull` in the repository that it came from"
        )


def write_sums(directory: Path, sums: Mapping[str, str]) -> None:
    """Write *sums*, in the form that :func:`read_sums` returns, as the pinned digests of *directory*."""
    text = "".join(f"{digest}  {name}\n" for name, digest in sorted(sums.items()))
    (directory / SUMS_FILE).write_text(text, encoding="utf-8")
