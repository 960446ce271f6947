"""Why there is no connection to the broker, and whether anybody listens at its address."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Final

from edge_worker.config.mqtt import is_loopback
from edge_worker.mqtt.backoff import Failure
from edge_worker.mqtt.diagnosis import explain, reached_nobody
from edge_worker.mqtt.ending import Ending
from edge_worker.mqtt.events import Unreachable
from edge_worker.ops.containers import in_container

if TYPE_CHECKING:
    from edge_worker.config.mqtt import MqttConfig

_TIMEOUT_S: Final = 1.0
_IN_CONTAINER: Final = (
    ": in a container this is the container itself; set mqtt.host to the broker's service name, or to"
    " host.docker.internal for the machine around it"
)


def unreachable(link: str, config: MqttConfig, error: Exception) -> Ending:
    """Conclude from *error* why *link* has no connection."""
    failure = Failure.CLOSED_PORT if reached_nobody(error) else Failure.FAILED
    nobody_here = isinstance(error, ConnectionRefusedError) and is_loopback(config.host)
    hint = _IN_CONTAINER if nobody_here and in_container() else ""
    return Ending(failure, Unreachable(link, f"{explain(error)}{hint}"))


def somebody_listens(config: MqttConfig) -> bool:
    """Tell whether the broker's port, or socket file, is open; False only where that is certain.

    A connection that broke may have been ended because of us (another client with our name, a message too large), or
    because the broker ended. It closes its port before its connections, and asking takes one round trip, so that
    even a broker that restarts at once is noticed.
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
