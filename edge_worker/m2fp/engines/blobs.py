"""Compiled networks on disk, so that the second start is fast.

A blob's name is a hash of all that it depends on (weights, runtime, precision, CPU, shape): one made of anything else
is never found. Its file ends with the SHA-256 of what is before, so that one that the disk has damaged since is noticed
and made anew. Trouble with the disk costs time at the next start and nothing else.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import mmap
import os
from typing import TYPE_CHECKING, BinaryIO

import numpy as np

from edge_worker.common import log_events
from edge_worker.common.files import write_whole

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from io import BytesIO
    from pathlib import Path

    from edge_worker.m2fp.engines.base import Shape
    from edge_worker.m2fp.types import ByteArray


_DIGEST_BYTES = hashlib.sha256().digest_size
_log = logging.getLogger(__name__)


class MappedBlob:
    """A blob on disk as memory: what is not looked at takes none."""

    def __init__(self, file: Path) -> None:
        """Map *file*; OSError where it cannot be read, ValueError where it is not what was written."""
        with file.open("rb") as stream:
            size = os.fstat(stream.fileno()).st_size - _DIGEST_BYTES
            if size <= 0 or _digest(stream, size) != stream.read():
                raise ValueError(f"{file} is not what was written")
            # A private copy, because OpenVINO shares only what it could write to; nothing is ever written.
            self._map = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_COPY)
        self.content: ByteArray = np.frombuffer(self._map, np.uint8, count=size)

    def forget(self) -> None:
        """Give back the memory of all that was looked at; what is looked at again comes from disk again."""
        self._map.madvise(mmap.MADV_DONTNEED)


def _digest(stream: BinaryIO, size: int) -> bytes:
    """SHA-256 of the next *size* bytes, in pieces: a mapping would count as memory of this process."""
    digest, left = hashlib.sha256(), size
    while left and (piece := stream.read(min(left, 1 << 20))):
        digest.update(piece)
        left -= len(piece)
    return digest.digest()


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
        except OSError:
            return None
        except ValueError:
            _log.warning(log_events.COMPILED_NETWORK_DAMAGED, file)
            return None

    def store(self, shape: Shape, export: Callable[[], BytesIO]) -> None:
        """Keep what *export* returns as the blob for a *shape*; an interrupted write leaves nothing under its name."""
        file = self._file(shape)
        if file is None:
            return
        with contextlib.suppress(OSError):
            blob = export()
            blob.seek(0, os.SEEK_END)
            blob.write(hashlib.sha256(blob.getbuffer()).digest())
            write_whole(file, blob.getbuffer())
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
