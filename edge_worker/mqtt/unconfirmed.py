"""Messages of QoS 0 that are too large for the broker: nobody acknowledges them, but connections end over them. Pure.

MQTT 3.1.1 has no other way to say so, and the message is not sent again that could be watched.
"""

from __future__ import annotations

from collections import deque
from typing import Final

SINK_S: Final = 1.0
"""A message that the connection outlived for so long was taken."""

MAX_ENDS: Final = 4
"""So many calm connections in a row that end right after a message of some size are no accident."""


class Unconfirmed:
    """Which sizes were written last, and how often the end came right after."""

    def __init__(self) -> None:
        """Suspect nothing."""
        self._fresh: deque[tuple[int, float]] = deque()  # bytes, moment
        self._suspect, self._ends = 0, 0

    def sent(self, size: int, now: float) -> None:
        """Note that a message of *size* bytes was written."""
        self._settle(now)
        self._fresh.append((size, now))

    def ended(self, now: float, *, calm: bool) -> int | None:
        """Note that the broker ended the connection, which had stood for a while or not (*calm*).

        Returns:
            The size that proves too large; None as long as none does.
        """
        self._settle(now)
        largest = max((size for size, _ in self._fresh), default=0)
        self._fresh.clear()
        if not (largest and calm):
            return None
        self._suspect = min(largest, self._suspect) if self._ends else largest
        self._ends += 1
        if self._ends < MAX_ENDS:
            return None
        self._ends = 0
        return self._suspect

    def _settle(self, now: float) -> None:
        while self._fresh and now - self._fresh[0][1] >= SINK_S:
            size, _ = self._fresh.popleft()
            if size >= self._suspect:
                self._ends = 0
