"""The status of a link, written by its thread and read by others."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from edge_worker.mqtt.events import Protocol

STALL_S: Final = 120.0
"""A link's thread that says nothing for this long is stuck. Names are looked up without a time limit of our own, and
resolvers take up to half a minute."""


@dataclass(frozen=True, slots=True)
class LinkStatus:
    """The status of a link, for the worker's status, metrics and the health page.

    ``trouble`` is empty while all is well. ``conflict`` describes another client with our client id that disconnected
    us, until a connection has lasted: frames are answered now, but it will come back. ``withheld`` names the topic of a
    message that the broker refused and that is tried again, and its reason. ``publications_without_subscriber``: the
    broker accepted them without a subscriber (those to be retained are not counted).
    """

    keepalive_s: int
    connected: bool = False
    subscribed: bool = False
    protocol: Protocol | None = None
    epoch: int = 0
    trouble: str = ""
    conflict: str = ""
    withheld: str = ""
    sessions_lost: int = 0
    takeovers: int = 0
    shed: int = 0
    queued: int = 0
    publications_lost: int = 0
    publications_without_subscriber: int = 0
    max_packet: int | None = None


class StatusBoard:
    """One writer, any number of readers: the status is replaced as a whole, never changed."""

    def __init__(self, keepalive_s: int) -> None:
        """Begin disconnected."""
        self._due = time.monotonic() + STALL_S
        self.status = LinkStatus(keepalive_s)

    def note(self, **changes: Any) -> None:  # noqa: ANN401 - fields of LinkStatus
        """Replace these fields of the status."""
        self.status = replace(self.status, **changes)

    def beat(self, pause_s: float = 0.0) -> None:
        """Say that the thread is alive, and will say so again after *pause_s* seconds."""
        self._due = time.monotonic() + pause_s + STALL_S

    @property
    def overdue(self) -> bool:
        """Whether the thread has been silent for too long."""
        return time.monotonic() > self._due
