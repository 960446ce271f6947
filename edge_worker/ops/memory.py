"""Free memory goes back to the kernel, instead of waiting in the process for a use that may not come."""

from __future__ import annotations

import ctypes
from typing import Final

_M_TRIM_THRESHOLD: Final = -1  # <malloc.h>
_M_MMAP_THRESHOLD: Final = -3
_M_ARENA_MAX: Final = -8

LARGE_BYTES: Final = 256 << 10
"""Blocks from this size on are the kernel's. Glibc would raise its own limit to that of the largest block freed so
far: payloads of some megabytes then come from the heap, and leave holes in it that are never filled exactly."""

SPARE_BYTES: Final = 1 << 20
ARENAS: Final = 2
"""Heaps for all threads together; each keeps what was freed in it."""


def give_back_free_memory() -> bool:
    """Set up the C library's allocator so, for this process; call it before threads are started.

    For a process that mostly waits: where large arrays come and go all the time, asking the kernel costs too much.

    Returns:
        Whether the C library knows how.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return False
    wanted = ((_M_MMAP_THRESHOLD, LARGE_BYTES), (_M_TRIM_THRESHOLD, SPARE_BYTES), (_M_ARENA_MAX, ARENAS))
    return all(mallopt(parameter, value) for parameter, value in wanted)
