"""Results of frames seen before: a redelivered or repeated frame costs nothing."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from threading import Lock
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Hashable

    from edge_worker.inference.types import EncodedResult

_MB = 1_000_000


@dataclass(frozen=True, slots=True)
class CacheStats:
    """The cache since the start of the worker."""

    hits: int
    misses: int
    size_bytes: int


class ResultCache:
    """The results used most recently, bounded by their bytes; safe to share between threads.

    The key is all a result depends on: the payload's SHA-256, the :class:`OutputRequest` and the loaded model, whose
    fingerprint covers weights, configuration, engine, precision, palette and version.
    """

    def __init__(self, max_mb: float) -> None:
        """Keep at most *max_mb* megabytes; 0 keeps nothing."""
        self._max_bytes = int(max_mb * _MB)
        self._bytes = self._hits = self._misses = 0
        self._entries: OrderedDict[Hashable, tuple[int, EncodedResult]] = OrderedDict()
        self._lock = Lock()

    def get(self, key: Hashable) -> EncodedResult | None:
        """The result stored under *key*, or None."""
        with self._lock:
            if key not in self._entries:
                self._misses += 1
                return None
            self._hits += 1
            self._entries.move_to_end(key)
            return self._entries[key][1]

    def put(self, key: Hashable, result: EncodedResult) -> None:
        """Store *result*, evicting the least recently used. One larger than the whole cache is not stored."""
        size = result.size
        with self._lock:
            self._discard(key)
            if size > self._max_bytes:
                return
            self._entries[key] = (size, result)
            self._bytes += size
            while self._bytes > self._max_bytes:
                self._discard(next(iter(self._entries)))

    def stats(self) -> CacheStats:
        """Hits, misses and size since the start."""
        with self._lock:
            return CacheStats(self._hits, self._misses, self._bytes)

    def clear(self) -> None:
        """Forget everything (the model has changed)."""
        with self._lock:
            self._entries.clear()
            self._bytes = 0

    def __len__(self) -> int:
        """Number of results kept."""
        return len(self._entries)

    def _discard(self, key: Hashable) -> None:
        """Remove *key* if it is there."""
        size, _ = self._entries.pop(key, (0, None))
        self._bytes -= size
