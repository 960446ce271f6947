"""How many unacknowledged messages a connection may pile up. Pure.

The broker should stop at Receive Maximum; MQTT 3.1.1 has none, and Mosquitto before 2.0.13 forgets it when it is
above 1. What comes over the budget is not kept: left unacknowledged, it is delivered again after a reconnect.
"""

from __future__ import annotations

from typing import Final

MAX_MESSAGES: Final = 32  # above the 20 that Mosquitto sends a 3.1.1 client at once
MAX_BYTES: Final = 64 << 20


class ReceiveWindow:
    """The budget of one connection."""

    def __init__(self, receive_maximum: int) -> None:
        """Allow *receive_maximum* messages at least, whatever the general limit is."""
        self._max_messages = max(MAX_MESSAGES, receive_maximum)
        self._sizes: dict[int, int] = {}
        self._shed = 0

    @property
    def shed(self) -> int:
        """Messages not admitted so far."""
        return self._shed

    @property
    def wants_reconnect(self) -> bool:
        """Whether all that was admitted is done, and what was not is to be fetched."""
        return bool(self._shed) and not self._sizes

    def admits(self, mid: int, size: int) -> bool:
        """Enter message *mid*; False when it is over the budget. After the first such, none is: order matters."""
        full = len(self._sizes) >= self._max_messages or sum(self._sizes.values()) + size > MAX_BYTES
        if self._shed or (full and self._sizes):
            self._shed += 1
            return False
        self._sizes[mid] = size
        return True

    def settle(self, mid: int) -> None:
        """Note that message *mid* is acknowledged."""
        self._sizes.pop(mid, None)
