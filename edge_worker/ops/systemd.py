"""The service manager's notification protocol: one datagram per message, without a library.

Source: ``sd_notify(3)``. The Python packages for it are unmaintained, and the protocol is this simple.
Without ``NOTIFY_SOCKET`` (not started by systemd, or ``Type=`` is not notify) every method does nothing.
"""

from __future__ import annotations

import socket
import time
from typing import TYPE_CHECKING, Final

import structlog

from edge_worker.common import log_events

if TYPE_CHECKING:
    from collections.abc import Mapping

SEND_TIMEOUT_S: Final = 1.0  # systemd reads at once; a manager that does not must not delay the worker

_log = structlog.get_logger(__name__)


class Notifier:
    """Notifies systemd of the service's state. Never raises, because a failed notification is no reason to stop."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        """Take the socket's address from *environ*; nothing is opened yet."""
        self._address = _socket_address(environ.get("NOTIFY_SOCKET", ""))

    def ready(self, status: str) -> None:
        """Report that start-up, or a reload begun by :meth:`reloading`, is complete."""
        self._send("READY=1", f"STATUS={status}")

    def status(self, text: str) -> None:
        """Show *text* in ``systemctl status``."""
        self._send(f"STATUS={text}")

    def watchdog(self) -> None:
        """Report that all parts have advanced since the last call."""
        self._send("WATCHDOG=1")

    def reloading(self, status: str) -> None:
        """Report that the configuration is being read again; :meth:`ready` must follow."""
        self._send("RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1000}", f"STATUS={status}")

    def stopping(self, status: str) -> None:
        """Report that the service is shutting down."""
        self._send("STOPPING=1", f"STATUS={status}")

    def extend_timeout(self, seconds: float) -> None:
        """Ask for *seconds* more, counted from now, for the running start, stop or reload."""
        self._send(f"EXTEND_TIMEOUT_USEC={int(seconds * 1_000_000)}")

    def _send(self, *assignments: str) -> None:
        if self._address is None:
            return
        message = "\n".join(_one_line(assignment) for assignment in assignments)
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as channel:
                channel.settimeout(SEND_TIMEOUT_S)
                channel.sendto(message.encode(), self._address)
        except OSError as error:
            _log.warning(log_events.SYSTEMD_UNREACHABLE, problem=str(error))


def _socket_address(value: str) -> str | None:
    """Return the AF_UNIX address in *value*, None if it is not one; ``@`` stands for the abstract namespace."""
    if value.startswith("@"):
        return "\0" + value[1:]
    return value if value.startswith("/") else None


def _one_line(assignment: str) -> str:
    """Remove line ends from a status text, which could add other assignments."""
    return " ".join(assignment.splitlines())
