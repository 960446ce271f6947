"""Ask whether somebody listens where the broker should be: a connection, opened and closed."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from edge_worker.config.mqtt import MqttConfig

_TIMEOUT_S: Final = 1.0


def somebody_listens(config: MqttConfig) -> bool:
    """Tell whether the broker's port, or socket file, is open; False only where that is certain.

    A connection that broke may have been ended because of us (another client with our name, a message too large), or
    because the broker ended. That closes its port before its connections, and an answer takes no longer than the way
    there and back, so that even a broker that restarts at once is found out.
    """
    try:
        _open(config).close()
    except (ConnectionRefusedError, FileNotFoundError):
        return False
    except OSError:
        return True
    return True


def _open(config: MqttConfig) -> socket.socket:
    if config.transport == "unix":
        sock = socket.socket(socket.AF_UNIX)
        sock.settimeout(_TIMEOUT_S)
        try:
            sock.connect(config.host)
        except OSError:
            sock.close()
            raise
        return sock
    return socket.create_connection((config.host, config.port), _TIMEOUT_S)
