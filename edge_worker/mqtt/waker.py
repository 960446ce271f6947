"""Wakes a thread that waits for the network."""

from __future__ import annotations

import socket
from contextlib import suppress


class Waker:
    """A pair of sockets: one end to ring, the other to wait for beside the connection."""

    def __init__(self) -> None:
        """Open both ends."""
        self.ear, self._clapper = socket.socketpair()
        self.ear.setblocking(False)
        self._clapper.setblocking(False)

    def ring(self) -> None:
        """Make the ear readable. Safe to call from any thread, at any time; never blocks."""
        with suppress(OSError):  # full: rung often enough; closed: nobody waits any more
            self._clapper.send(b"\0")

    def hush(self) -> None:
        """Make the ear silent until the next ring."""
        with suppress(BlockingIOError):
            self.ear.recv(4096)

    def close(self) -> None:
        """Close both ends."""
        self.ear.close()
        self._clapper.close()
