"""Atomic file writes, bounded reads, removal and file locks."""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Final

from edge_worker.common import platforms

_DRAFT: Final = ".part"
TRIAL_BYTES: Final = 4096
"""One block: a full disk may still have room for an empty file."""


def write_whole(file: Path, content: bytes | memoryview) -> None:
    """Write *content* to *file* atomically, creating its directory: readers see all or nothing.

    Temporary files of killed writers are removed first, where possible. Of two concurrent writers, the later wins.

    Raises:
        OSError: it cannot be written; no temporary file is left.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    for left in file.parent.glob(f"{file.stem}*{_DRAFT}"):
        with suppress(OSError):
            left.unlink()
    handle, draft = tempfile.mkstemp(dir=file.parent, prefix=file.stem, suffix=_DRAFT)
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        Path(draft).replace(file)
    except OSError:
        Path(draft).unlink(missing_ok=True)
        raise


def content_of(file: Path, max_bytes: int) -> bytes:
    """Read all of *file*.

    Raises:
        ValueError: it is a pipe or a device, or larger than *max_bytes*.
        OSError: it cannot be read.
    """
    with open(file, "rb", opener=_without_waiting) as stream:
        if not stat.S_ISREG(os.fstat(stream.fileno()).st_mode):
            raise ValueError(f"{file} is no ordinary file")
        content = stream.read(max_bytes + 1)
    if len(content) > max_bytes:
        raise ValueError(f"{file} holds more than {max_bytes} bytes")
    return content


def text_of(file: Path) -> str:
    """Return the text of *file*, such as one in ``/proc`` or ``/sys``; empty if it cannot be read."""
    try:
        return file.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def remove(path: Path) -> None:
    """Remove *path*, a file, link or directory tree; it may be missing.

    Raises:
        OSError: it cannot be removed.
    """
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def set_aside(path: Path) -> Path | None:
    """Rename *path* to ``NAME.damaged``, replacing an earlier one; None if that is not possible."""
    aside = path.with_name(f"{path.name}.damaged")
    try:
        remove(aside)
        return path.rename(aside)
    except OSError:
        return None


def _without_waiting(path: str, flags: int) -> int:
    """Open without blocking, even on a pipe without a writer."""
    return os.open(path, flags | platforms.O_NONBLOCK)


def problem_with(directory: Path) -> str | None:
    """Return why files cannot be kept in *directory*, or None. Creates it, and writes and removes a file."""
    try:
        directory.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=directory) as trial:
            trial.write(bytes(TRIAL_BYTES))
            trial.flush()
    except OSError as error:
        return error.strerror or str(error)
    return None


def locked(path: Path, flags: int) -> int:
    """Open *path*, a file or a directory, with *flags* of ``os.open`` and lock it; returns the descriptor.

    The lock lasts until the descriptor is closed or the process ends; child processes do not inherit it. A new file is
    readable by its owner only.

    Raises:
        BlockingIOError: it is already locked, perhaps by this process.
        OSError: it cannot be opened, or its file system does not support locks.
    """
    descriptor = os.open(path, flags, 0o600)
    try:
        platforms.lock(descriptor)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor
