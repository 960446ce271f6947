"""Websocket handshakes that a server refuses: what the operator is told."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import pytest

from edge_worker.mqtt.events import Unreachable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from links import Watched

# paho forgets a socket whose handshake failed; it is closed when the error is forgotten, too, with a warning.
pytestmark = pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")


@contextmanager
def web_server(status: int) -> Iterator[int]:
    """A web server that answers everything with *status*; gives its port."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        yield server.server_address[1]
        server.shutdown()


@pytest.mark.parametrize("status", ["403 Forbidden", "404 Not Found", "502 Bad Gateway"])
def test_the_status_of_a_refused_handshake_is_told(make_link: Callable[..., Watched], status: str) -> None:
    """With the key that is most often wrong, and its value."""
    with web_server(int(status[:3])) as port:
        watched = make_link(port, transport="websockets", websocket_path="/ws/").start()
        reason = watched.wait_for(Unreachable).reason
        watched.wait_for(Unreachable)
    assert reason == (
        f"the websocket handshake was refused with HTTP status {status}: is mqtt.websocket_path (/ws/) right?"
    )
