"""Wakes a thread that waits for the network."""

from __future__ import annotations

import socket
from contextlib import suppress


class Waker:
    """A pair of sockets: one end to write to, the other to wait for beside the connection."""

    def __init__(self) -> None:
        """Open both ends."""
        self.socket, self._sender = socket.socketpair()
        self.socket.setblocking(False)
        self._sender.setblocking(False)

    def wake(self) -> None:
        """Make ``socket`` readable. Safe to call from any thread, at any time; never blocks."""
        with suppress(OSError):  # full: woken often enough; closed: nobody waits any more
            self._sender.send(b"\0")

    def clear(self) -> None:
        """Make ``socket`` unreadable until the next :meth:`wake`."""
        with suppress(BlockingIOError):
            self.socket.recv(4096)

    def close(self) -> None:
        """Close both ends."""
        self.socket.close()
        self._sender.close()
