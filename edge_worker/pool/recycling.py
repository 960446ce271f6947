"""Recycle policy: when to replace a working model process. Pure."""

from __future__ import annotations

from math import inf
from typing import Final

FAILURES_ALLOWED: Final = 3
"""Of the model, under frames in a row, before a new process is tried: one frame may be odd, all of them are not."""


class RecyclePolicy:
    """Recycle policy of one process, starting when its model is loaded."""

    def __init__(self, limit_mb: float, loaded_mb: float) -> None:
        """Allow *limit_mb* of memory to a process that has *loaded_mb* before its first frame.

        No limit is in force where it has more by then: the next process would be no better, and so on for every frame.
        """
        self.is_limited = loaded_mb <= limit_mb
        self._limit_mb = limit_mb if self.is_limited else inf
        self._failures = 0

    def worked(self) -> None:
        """Record a frame with a result."""
        self._failures = 0

    def failed(self) -> None:
        """Record a frame on which the model failed."""
        self._failures += 1

    def reason_to_replace(self, rss_mb: float) -> str:
        """Why another process should take the next frame, this one having *rss_mb* now; empty if there is no reason."""
        if rss_mb > self._limit_mb:
            return f"{rss_mb:.0f} MB of memory, over memory.limit_mb: {self._limit_mb:.0f}"
        if self._failures >= FAILURES_ALLOWED:
            return f"the model failed under {self._failures} frames in a row"
        return ""
