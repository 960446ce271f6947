"""Compiled networks on disk, so that the second start is fast.

A blob's name is a hash of all that it depends on (weights, runtime, precision, processor, shape): one made of anything
else is never found. Trouble with the disk costs time at the next start and nothing else.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from io import BytesIO

    from edge_worker.m2fp.engines.base import Shape
    from edge_worker.m2fp.types import ByteArray

# Blobs kept per engine; each is about as large as the weights. The least recently used are removed.
_KEPT = 8


class BlobStore:
    """Blobs of one model, runtime, precision and processor, by shape."""

    def __init__(self, directory: Path | None, engine: str, key: Iterable[str]) -> None:
        """Keep blobs under *directory*/*engine*; None keeps none. *key*: all that they depend on besides the shape."""
        self._directory = directory / engine if directory else None
        self._key = "\n".join(key)

    def map(self, shape: Shape) -> ByteArray | None:
        """The blob for a *shape*, mapped from disk rather than read, or None."""
        file = self._file(shape)
        if file is None:
            return None
        try:
            os.utime(file)  # used just now
            return np.memmap(file, dtype=np.uint8, mode="r")
        except (OSError, ValueError):  # ValueError: empty
            return None

    def store(self, shape: Shape, export: Callable[[], BytesIO]) -> None:
        """Keep what *export* returns as the blob for a *shape*; an interrupted write leaves nothing under its name."""
        file = self._file(shape)
        if file is None:
            return
        with contextlib.suppress(OSError):
            file.parent.mkdir(parents=True, exist_ok=True)
            _write_whole(file, export().getbuffer())
            self._prune(file.parent)

    def _file(self, shape: Shape) -> Path | None:
        if self._directory is None:
            return None
        digest = hashlib.sha256(f"{self._key}\n{shape[0]}x{shape[1]}".encode()).hexdigest()
        return self._directory / f"{digest[:32]}.blob"

    def _prune(self, directory: Path) -> None:
        blobs = sorted(directory.glob("*.blob"), key=lambda file: file.stat().st_mtime)
        for file in blobs[:-_KEPT]:
            file.unlink(missing_ok=True)


def _write_whole(file: Path, content: memoryview) -> None:
    """Write beside *file*, then rename: readers see the whole or nothing."""
    handle, temporary = tempfile.mkstemp(dir=file.parent, prefix=file.stem, suffix=".part")
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        Path(temporary).replace(file)
    except OSError:
        Path(temporary).unlink(missing_ok=True)
        raise
