"""The largest packet a broker takes: as it says, or as it turns out. Pure."""

from __future__ import annotations

from typing import Final

from edge_worker.mqtt.unconfirmed import Unconfirmed

TELLING_BYTES: Final = 1024
"""A smaller message that the broker chokes on says nothing about the sizes it takes."""

GUESS: Final = 0.75
"""Of a size that the broker chokes on, this share is taken for its limit, unless more was taken before: rather too low
than finding it out message by message."""


class SizeLimit:
    """What is known of it; the guess is forgotten when the broker cannot be reached: another one may come back."""

    def __init__(self) -> None:
        """Know nothing."""
        self._unconfirmed = Unconfirmed()
        self._announced: int | None = None
        self._found: int | None = None
        self._taken = 0

    @property
    def max_bytes(self) -> int | None:
        """The limit; None: none known."""
        return min((limit for limit in (self._announced, self._found) if limit is not None), default=None)

    def announced(self, limit: int | None) -> None:
        """Note what the broker says itself (None: nothing)."""
        self._announced = limit

    def taken(self, size: int) -> None:
        """Note that the broker acknowledged a message of *size* bytes."""
        self._taken = max(self._taken, size)

    def written(self, size: int, now: float) -> None:
        """Note that a message of *size* bytes was written that nobody acknowledges."""
        self._unconfirmed.sent(size, now)

    def choked(self, size: int) -> None:
        """Note that the broker ends connections over a message of *size* bytes."""
        if size <= TELLING_BYTES:
            return
        if self._taken >= size:  # its limit has changed since
            self._taken = 0
        self._found = max(self._taken, int(size * GUESS))

    def ended(self, now: float, *, calm: bool) -> None:
        """Note that the broker ended the connection, which had stood for a while or not (*calm*)."""
        size = self._unconfirmed.ended(now, calm=calm)
        if size is not None:
            self.choked(size)

    def forget(self) -> None:
        """Note that the broker cannot be reached."""
        self._found, self._taken = None, 0
