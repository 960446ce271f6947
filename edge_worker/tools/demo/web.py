"""What ``demo --web`` adds: a broker with MQTT 5, and the gateway."""

from __future__ import annotations

import shutil
import socket
import time
from typing import TYPE_CHECKING, Any, Final
from urllib.request import urlopen

from edge_worker.common.deadline import Deadline
from edge_worker.common.errors import EdgeWorkerError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from edge_worker.tools.demo.children import Child, Children

LISTENS_S: Final = 30.0
SECTIONS: Final[Mapping[str, Any]] = {
    "cameras": [
        {"topic": "cameras/{camera}/frame"},
        {
            "topic": "requests/{camera}/frame",
            "delivery": "every",
            "share_group": "requests",
            "reply_prefix": "replies/",
        },
    ],
}
_HOW_TO_INSTALL: Final = (
    "the page needs a broker that speaks MQTT 5: install mosquitto (Debian, Ubuntu: apt-get install mosquitto)"
)


def start_broker(children: Children, out: Path) -> int:
    """Start mosquitto on a free loopback port; returns the port.

    Raises:
        EdgeWorkerError: it is not installed, or does not start.
    """
    program = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin")
    if program is None:
        raise EdgeWorkerError(_HOW_TO_INSTALL)
    port, file = _free_port(), out / "mosquitto.conf"
    file.write_text(f"listener {port} 127.0.0.1\nallow_anonymous true\nset_tcp_nodelay true\n")
    broker = children.start_program("broker", program, "-c", str(file))
    _wait(broker, lambda: socket.create_connection(("127.0.0.1", port), 1.0).close())
    return port


def start_gateway(children: Children, file: Path) -> str:
    """Start the gateway on a free loopback port; returns its address.

    Raises:
        EdgeWorkerError: it does not start.
    """
    port = _free_port()
    gateway = children.start("gateway", "edge_worker", "gateway", "-c", str(file), "--http-port", str(port))
    address = f"http://127.0.0.1:{port}"
    _wait(gateway, lambda: urlopen(f"{address}/readyz", timeout=1.0).close())  # noqa: S310 - ours
    return address


def _wait(child: Child, attempt: Any) -> None:  # noqa: ANN401 - a function without arguments
    """Wait until *attempt* raises no OSError."""
    deadline = Deadline(LISTENS_S)
    while True:
        child.check()
        try:
            attempt()
        except OSError as error:
            if deadline.expired:
                raise child.failure(f"the {child.name} did not start: {error}") from error
            time.sleep(0.1)
        else:
            return


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
