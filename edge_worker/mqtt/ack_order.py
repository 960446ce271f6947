"""The order of acknowledgements on one connection. Pure.

MQTT 5.0 (4.6.0-2) asks for PUBACKs in the order in which the messages came. Mosquitto 2.0.11 keeps the order of the
messages of a topic only then. The cost: an answered message waits for older ones, and is redelivered if the connection
ends meanwhile.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


class AckOrder:
    """Messages by packet id, oldest first, and which of them wait for an older one to be acknowledged."""

    def __init__(self) -> None:
        """Begin with nothing to acknowledge."""
        self._settled: dict[int, bool] = {}

    def arrived(self, mid: int) -> None:
        """Enter message *mid*, behind all that came before it."""
        self._settled.setdefault(mid, False)

    def settle(self, mid: int) -> Iterator[int]:
        """Note that *mid* may be acknowledged; gives what is to be acknowledged now, oldest first."""
        if mid in self._settled:
            self._settled[mid] = True
        while self._settled and self._settled[oldest := next(iter(self._settled))]:
            del self._settled[oldest]
            yield oldest
