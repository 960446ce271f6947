"""Recycle policy: when to replace a working model process. Pure."""

from __future__ import annotations

from math import inf
from typing import Final

FAILURES_ALLOWED: Final = 3
"""Consecutive frames on which the model may fail before the process is replaced."""


class RecyclePolicy:
    """Recycle policy of one process, starting when its model is loaded."""

    def __init__(self, limit_mb: float, loaded_mb: float) -> None:
        """Limit memory to *limit_mb* for a process that takes *loaded_mb* before its first frame.

        If it takes more by then, the limit is not applied: the next process would exceed it as well.
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
        """Return why the process, which takes *rss_mb* now, should be replaced; empty if it should not."""
        if rss_mb > self._limit_mb:
            return f"{rss_mb:.0f} MB of memory, over memory.limit_mb: {self._limit_mb:.0f}"
        if self._failures >= FAILURES_ALLOWED:
            return f"the model failed under {self._failures} frames in a row"
        return ""
