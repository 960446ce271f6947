"""The queue of what links report, until the router has read it: bounded, so that a flood stays with the broker."""

from __future__ import annotations

from collections import deque
from threading import Condition
from typing import TYPE_CHECKING, Final

from edge_worker.mqtt.events import Arrived

if TYPE_CHECKING:
    from edge_worker.mqtt.events import LinkEvent

MAX_UNREAD_BYTES: Final = 32 << 20


class Inbox:
    """A queue of events. Safe to use from any thread; one reader.

    A message that arrived waits for room, and so does its link: the link stops reading, TCP tells the broker, and the
    broker keeps frames of QoS 1 and drops those of QoS 0, which newer ones replace. News about links, and the ends of
    publications, never wait: the reader may be waiting for the threads that report them.
    """

    def __init__(self, max_unread_bytes: int = MAX_UNREAD_BYTES) -> None:
        """Begin empty; a message is taken while less than *max_unread_bytes* of messages are unread."""
        self._max_unread_bytes = max_unread_bytes
        self._events: deque[LinkEvent] = deque()
        self._unread_bytes = 0
        self._closed = False
        self._changed = Condition()

    def put(self, event: LinkEvent) -> None:
        """Report *event*; a message waits for room."""
        size = _size(event)
        with self._changed:
            self._changed.wait_for(lambda: not size or self._closed or self._unread_bytes < self._max_unread_bytes)
            self._events.append(event)
            self._unread_bytes += size
            self._changed.notify_all()

    def get(self) -> LinkEvent | None:
        """Wait for the next event; None when all were read and the inbox is closed."""
        with self._changed:
            self._changed.wait_for(lambda: self._events or self._closed)
            if not self._events:
                return None
            event = self._events.popleft()
            self._unread_bytes -= _size(event)
            self._changed.notify_all()
            return event

    def close(self) -> None:
        """Let the reader end once it has read everything, and nobody wait for room any more."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()


def _size(event: LinkEvent) -> int:
    return event.message.memory_size if isinstance(event, Arrived) else 0
