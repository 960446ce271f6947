"""On-disk cache of compiled networks, for fast restarts.

A blob's file name is a hash of everything it depends on (weights, runtime, precision, CPU, shape), so a stale blob is
never found. The file ends with the SHA-256 of its name and content, so that a damaged or renamed file is detected and
compiled again. Disk errors only make the next start slower.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import mmap
import os
import stat
from typing import TYPE_CHECKING, BinaryIO

import numpy as np

from edge_worker.common import log_events
from edge_worker.common.files import remove, write_whole

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from io import BytesIO
    from pathlib import Path

    from edge_worker.m2fp.engines.base import Shape
    from edge_worker.m2fp.types import ByteArray


_DIGEST_BYTES = hashlib.sha256().digest_size
_log = logging.getLogger(__name__)


class MappedBlob:
    """A memory-mapped blob: pages that are never read take no memory."""

    def __init__(self, file: Path) -> None:
        """Map *file*; raise OSError if it cannot be read, ValueError if it is corrupt."""
        if not stat.S_ISREG(file.stat().st_mode):  # opening a pipe would block
            raise ValueError("no ordinary file")
        with file.open("rb") as stream:
            size = os.fstat(stream.fileno()).st_size - _DIGEST_BYTES
            if size <= 0 or _digest(file.name, stream, size) != stream.read():
                raise ValueError("its digest is not that of what was written")
            # Copy-on-write, because OpenVINO shares only writable memory; nothing is ever written.
            self._map = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_COPY)
        self.content: ByteArray = np.frombuffer(self._map, np.uint8, count=size)

    def forget(self) -> None:
        """Drop the resident pages; they are read from disk again on the next access."""
        self._map.madvise(mmap.MADV_DONTNEED)


def _digest(name: str, stream: BinaryIO, size: int) -> bytes:
    """Return the SHA-256 of *name* and the next *size* bytes, read in chunks: mapped pages count as process memory."""
    digest, left = hashlib.sha256(name.encode()), size
    while left and (piece := stream.read(min(left, 1 << 20))):
        digest.update(piece)
        left -= len(piece)
    return digest.digest()


class BlobStore:
    """Blobs of one model, runtime, precision and CPU, by input shape."""

    def __init__(self, directory: Path | None, engine: str, key: Iterable[str], limit: int) -> None:
        """Store blobs in *directory*/*engine* (None: nowhere). *key* is everything they depend on besides the shape.

        Each blob is about as large as the weights. Above *limit* files the least recently used are removed, including
        those of other models and settings.
        """
        self._directory = directory / engine if directory else None
        self._limit = limit
        self._key = "\n".join(key)

    @property
    def keeps(self) -> bool:
        """Whether the cache is enabled."""
        return self._directory is not None

    def map(self, shape: Shape) -> MappedBlob | None:
        """Return the blob for *shape*, or None if it is missing or corrupt; a corrupt one is removed."""
        file = self._file(shape)
        if file is None:
            return None
        with contextlib.suppress(OSError):
            os.utime(file)  # mark as recently used
        try:
            return MappedBlob(file)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except (OSError, ValueError) as error:
            self.discard(shape, str(error))
            return None

    def discard(self, shape: Shape, problem: str) -> None:
        """Remove the blob for *shape*, which cannot be used because of *problem*, and log it."""
        file = self._file(shape)
        if file is None:
            return
        _log.warning(log_events.COMPILED_NETWORK_DAMAGED, file, problem)
        with contextlib.suppress(OSError):
            remove(file)

    def store(self, shape: Shape, export: Callable[[], BytesIO]) -> None:
        """Store the result of *export* as the blob for *shape*, atomically."""
        file = self._file(shape)
        if file is None:
            return
        with contextlib.suppress(OSError):
            blob = export()
            digest = hashlib.sha256(file.name.encode())
            digest.update(blob.getbuffer())
            blob.seek(0, os.SEEK_END)
            blob.write(digest.digest())
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
            remove(file)
