"""``python -m edge_worker.tools.demo.broker``: a broker for the demo and for experiments, on loopback only.

It is amqtt: MQTT 3.1.1, everything in memory. It prints one line of JSON, ``{"host": …, "port": …}``, once it listens,
and ends on SIGTERM or Ctrl-C. For production use mosquitto.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import signal
import sys
from typing import Any

from edge_worker.common.errors import EdgeWorkerError

HOST = "127.0.0.1"
GOODBYE_S = 3.0
HOW_TO_INSTALL = "the embedded broker needs the package amqtt: pip install 'edge-worker[demo]'"


def configuration(port: int) -> dict[str, Any]:
    """Return amqtt's configuration: one listener on loopback, and :class:`AllowAll` as the only plugin."""
    return {
        "listeners": {"default": {"type": "tcp", "bind": f"{HOST}:{port}"}},
        "plugins": {"edge_worker.tools.demo.open_access.AllowAll": {}},
    }


async def serve(port: int) -> None:
    """Serve on *port* (0: a free one) until a signal arrives; print the address to standard output.

    Raises:
        EdgeWorkerError: amqtt is not installed, or the port is taken.
    """
    try:
        from amqtt.broker import Broker  # noqa: PLC0415 - an extra
        from amqtt.errors import BrokerError  # noqa: PLC0415
    except ImportError as error:
        raise EdgeWorkerError(HOW_TO_INSTALL) from error
    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    for signum in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(signum, stop.set)
    broker = Broker(configuration(port))
    try:
        await broker.start()
    except BrokerError as error:
        raise EdgeWorkerError(f"the broker cannot listen on {HOST}:{port}: {error}") from error
    sys.stdout.write(json.dumps({"host": HOST, "port": _port_of(broker)}) + "\n")
    sys.stdout.flush()
    await stop.wait()
    # amqtt waits for its connections to end; with Python 3.12.0 and 3.12.1 possibly for ever.
    await asyncio.wait([loop.create_task(broker.shutdown())], timeout=GOODBYE_S)


def _port_of(broker: Any) -> int:  # noqa: ANN401 - amqtt is used without its types
    """Return the port of the listening socket, which is private to amqtt."""
    sockets = broker._servers["default"].instance.sockets  # noqa: SLF001
    return int(sockets[0].getsockname()[1])


def main(argv: list[str] | None = None) -> int:
    """Run the broker; returns 1, with a message, if it cannot."""
    parser = argparse.ArgumentParser(prog="python -m edge_worker.tools.demo.broker", description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="port on loopback; 0, the default, takes a free one")
    arguments = parser.parse_args(argv)
    logging.basicConfig(level=logging.WARNING)
    try:
        asyncio.run(serve(arguments.port))
    except EdgeWorkerError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
