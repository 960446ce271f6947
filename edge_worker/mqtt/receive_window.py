"""How many bytes of unacknowledged messages are held for one connection. Pure.

A broker should stop at Receive Maximum. MQTT 3.1.1 has none, Mosquitto before 2.0.13 forgets it when it is above 1, and
NATS has a limit of its own. What is sent beyond it is held in memory up to ``MAX_BYTES``. Messages beyond that are not
kept: left unacknowledged, they are delivered again after a reconnect.
"""

from __future__ import annotations

from typing import Final

MAX_BYTES: Final = 64 << 20


class ReceiveWindow:
    """The messages of one connection that are not acknowledged yet."""

    def __init__(self, max_bytes: int) -> None:
        """Hold *max_bytes* at most, or a single larger message."""
        self._max_bytes = max_bytes
        self._sizes: dict[int, int] = {}  # by packet identifier
        self._held_bytes = 0
        self._shed = 0

    @property
    def held(self) -> int:
        """Messages admitted and not acknowledged."""
        return len(self._sizes)

    @property
    def shed(self) -> int:
        """Messages not admitted so far."""
        return self._shed

    @property
    def wants_reconnect(self) -> bool:
        """Whether everything admitted is acknowledged, and what was not admitted is to be fetched."""
        return bool(self._shed) and not self._sizes

    def admits(self, mid: int, size: int) -> bool:
        """Enter message *mid* of *size* bytes; False when there is no room for it.

        After the first such message none is admitted, to keep the order.
        """
        if mid in self._sizes:  # NATS sends a message again on the same connection
            return True
        if self._shed or (self._sizes and self._held_bytes + size > self._max_bytes):
            self._shed += 1
            return False
        self._sizes[mid] = size
        self._held_bytes += size
        return True

    def settle(self, mid: int) -> None:
        """Note that message *mid* is acknowledged."""
        self._held_bytes -= self._sizes.pop(mid, 0)
