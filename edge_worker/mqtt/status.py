"""Where a link's thread writes how the link stands, and others read it."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from edge_worker.mqtt.events import LinkStatus

if TYPE_CHECKING:
    from collections.abc import Callable

STALL_S: Final = 120.0
"""A link's thread that says nothing for so long is stuck. Names are looked up without a time limit of our own, and
resolvers take up to half a minute."""


class StatusBoard:
    """One writer, any number of readers: the status is replaced as a whole, never changed."""

    def __init__(self, keepalive_s: int, clock: Callable[[], float] = time.monotonic) -> None:
        """Begin disconnected."""
        self._clock = clock
        self._due = clock() + STALL_S
        self.status = LinkStatus(
            connected=False,
            subscribed=False,
            protocol=None,
            epoch=0,
            trouble="",
            rival="",
            withheld="",
            sessions_lost=0,
            takeovers=0,
            shed=0,
            queued=0,
            publications_lost=0,
            publications_without_subscriber=0,
            max_packet=None,
            keepalive_s=keepalive_s,
        )

    def note(self, **changes: Any) -> None:  # noqa: ANN401 - fields of LinkStatus
        """Replace these fields of the status."""
        self.status = replace(self.status, **changes)

    def beat(self, pause_s: float = 0.0) -> None:
        """Say that the thread is alive, and will say so again after *pause_s* seconds."""
        self._due = self._clock() + pause_s + STALL_S

    @property
    def overdue(self) -> bool:
        """Whether the thread has been silent for too long."""
        return self._clock() > self._due
