"""Allocator settings and periodic trimming, which return freed memory to the kernel.

Glibc raises its mmap and trim thresholds with the size of blocks freed so far, and creates arenas for threads. With
payloads and images of all sizes, the memory that a process keeps then depends on their order.

Python keeps freed tuples, two thousand of each length, until a full garbage collection. In a program that creates
hardly any garbage, such as this one, the first comes after hours.
"""

from __future__ import annotations

import gc
from dataclasses import dataclass
from time import monotonic
from typing import Final

from edge_worker.common.platforms import c_function

_M_TRIM_THRESHOLD: Final = -1  # <malloc.h>
_M_MMAP_THRESHOLD: Final = -3
_M_ARENA_MAX: Final = -8


@dataclass(frozen=True)
class Allocation:
    """Settings of the C library's allocator. If all three are set, it does not adapt.

    Attributes:
        large_bytes: blocks of at least this size are mapped and unmapped individually.
        spare_bytes: free memory at the end of a heap beyond this is returned.
        heaps: number of heaps (arenas) for all threads; each keeps what was freed in it.
    """

    large_bytes: int
    spare_bytes: int
    heaps: int

    def take_effect(self) -> bool:
        """Apply the settings to this process; call it before threads are started.

        Returns:
            Whether the C library supports them.
        """
        mallopt = c_function("mallopt")
        if mallopt is None:
            return False
        wanted = (
            (_M_MMAP_THRESHOLD, self.large_bytes),
            (_M_TRIM_THRESHOLD, self.spare_bytes),
            (_M_ARENA_MAX, self.heaps),
        )
        return all(mallopt(parameter, value) for parameter, value in wanted)


WAITING: Final = Allocation(large_bytes=256 << 10, spare_bytes=1 << 20, heaps=2)
"""For a process that mostly waits, and now and then has some payloads in memory."""

COMPUTING: Final = Allocation(large_bytes=8 << 20, spare_bytes=16 << 20, heaps=1)
"""For one that needs the same large arrays for every frame. Mapped anew each time, they took 3 to 7 of the 48 ms of CPU
time of a frame of 1280x720. Measured over frames of all sizes and formats: a peak of 457 MB instead of 477, at no cost;
with a heap per thread, a fifth of their memory is unused."""

TRIM_INTERVAL_S: Final = 30.0  # between two collections and trims, which take some 20 ms


class MemoryTrimmer:
    """Periodically returns memory that Python and the C library keep after it was freed.

    By itself the library returns only the end of a heap: one small block there keeps all free blocks before it.
    """

    def __init__(self) -> None:
        """Start the interval."""
        self._last = monotonic()
        self._trim = c_function("malloc_trim")

    def trim_if_due(self) -> None:
        """Trim if ``TRIM_INTERVAL_S`` have passed since the last time; call it when idle."""
        if monotonic() - self._last < TRIM_INTERVAL_S:
            return
        gc.collect()
        if self._trim is not None:
            self._trim(0)
        self._last = monotonic()
