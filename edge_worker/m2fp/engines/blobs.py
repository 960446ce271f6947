"""Compiled networks on disk, so that the second start is fast.

A blob's name is a hash of all that it depends on (weights, runtime, precision, processor, shape): one made of anything
else is never found. Trouble with the disk costs time at the next start and nothing else.
"""

from __future__ import annotations

import contextlib
import hashlib
import mmap
import os
from typing import TYPE_CHECKING

import numpy as np

from edge_worker.common.files import write_whole

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from io import BytesIO
    from pathlib import Path

    from edge_worker.m2fp.engines.base import Shape
    from edge_worker.m2fp.types import ByteArray


class MappedBlob:
    """A blob on disk as memory: what is not looked at takes none."""

    def __init__(self, file: Path) -> None:
        """Map *file*; OSError where it cannot be read, ValueError where it is empty."""
        with file.open("rb") as stream:
            # A private copy, because OpenVINO shares only what it could write to; nothing is ever written.
            self._map = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_COPY)
        self.content: ByteArray = np.frombuffer(self._map, np.uint8)

    def forget(self) -> None:
        """Give back the memory of all that was looked at; what is looked at again comes from disk again."""
        self._map.madvise(mmap.MADV_DONTNEED)


class BlobStore:
    """Blobs of one model, runtime, precision and processor, by shape."""

    def __init__(self, directory: Path | None, engine: str, key: Iterable[str], limit: int) -> None:
        """Keep blobs under *directory*/*engine*; None keeps none. *key*: all that they depend on besides the shape.

        Each is about as large as the weights. Above the *limit* the least recently used are removed, of other models
        and settings, too.
        """
        self._directory = directory / engine if directory else None
        self._limit = limit
        self._key = "\n".join(key)

    @property
    def keeps(self) -> bool:
        """Whether there is a place for blobs."""
        return self._directory is not None

    def map(self, shape: Shape) -> MappedBlob | None:
        """The blob for a *shape*, or None."""
        file = self._file(shape)
        if file is None:
            return None
        try:
            os.utime(file)  # used just now
            return MappedBlob(file)
        except (OSError, ValueError):  # ValueError: empty
            return None

    def store(self, shape: Shape, export: Callable[[], BytesIO]) -> None:
        """Keep what *export* returns as the blob for a *shape*; an interrupted write leaves nothing under its name."""
        file = self._file(shape)
        if file is None:
            return
        with contextlib.suppress(OSError):
            write_whole(file, export().getbuffer())
            self._prune(file.parent)

    def _file(self, shape: Shape) -> Path | None:
        if self._directory is None:
            return None
        digest = hashlib.sha256(f"{self._key}\n{shape[0]}x{shape[1]}".encode()).hexdigest()
        return self._directory / f"{digest[:32]}.blob"

    def _prune(self, directory: Path) -> None:
        blobs = sorted(directory.glob("*.blob"), key=lambda file: file.stat().st_mtime)
        for file in blobs[: -self._limit]:
            file.unlink(missing_ok=True)
