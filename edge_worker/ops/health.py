"""Health and metrics over HTTP, for orchestrators and Prometheus.

=============  ========================================================================================
``/healthz``   200 while all parts make progress, otherwise 503: restart the process
``/readyz``    200 while the worker can answer frames, otherwise 503: loading, or waiting for the broker
``/metrics``   Prometheus text
=============  ========================================================================================

Each request has a daemon thread, limited in number and time, so that slow or malicious clients cannot hold up the
worker. There is no authentication: the default address is loopback.
"""

from __future__ import annotations

import json
import socket
import socketserver
import sys
import threading
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Final

import structlog

from edge_worker.common import log_events
from edge_worker.common.errors import EdgeWorkerError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from edge_worker.config import HttpConfig

MAX_CLIENTS: Final = 16  # at a time; more are disconnected
CLIENT_TIMEOUT_S: Final = 5.0  # for each read from and write to a client
PAUSE_S: Final = 0.5  # after a failed accept
CLIENT_LIMIT_S: Final = 15.0  # for a whole request: the timeout does not end one that arrives byte by byte

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Check:
    """Health of one part of the worker, with the problem if it is unhealthy."""

    name: str
    ok: bool
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Health:
    """Health of all parts."""

    checks: tuple[Check, ...]

    @property
    def ok(self) -> bool:
        """Whether every part is healthy."""
        return all(check.ok for check in self.checks)

    def to_json(self) -> bytes:
        """Return the response body: overall health, and the problem of each part."""
        parts = {check.name: {"ok": check.ok, "detail": check.detail} for check in self.checks}
        return json.dumps({"ok": self.ok, "checks": parts}).encode()


@dataclass(frozen=True, slots=True)
class _Answer:
    status: HTTPStatus
    content_type: str
    body: bytes


class HealthServer:
    """Serves the pages from callables, which run in the request's thread and must not block."""

    def __init__(
        self,
        config: HttpConfig,
        *,
        alive: Callable[[], Health],
        ready: Callable[[], Health],
        metrics: Callable[[str], tuple[bytes, str]],
    ) -> None:
        """Prepare to listen on the address in *config*; *metrics* maps an ``Accept`` header to (body, content type)."""
        self._config = config
        self._pages: dict[str, Callable[[str], _Answer]] = {
            "/healthz": lambda _accept: _health_answer(alive()),
            "/readyz": lambda _accept: _health_answer(ready()),
            "/metrics": lambda accept: _metrics_answer(metrics(accept)),
        }
        self._server: _Server | None = None

    @property
    def port(self) -> int:
        """The port in use (the system's choice if the configured one is 0); only after :meth:`start`."""
        if self._server is None:
            raise RuntimeError("the health server has not been started")
        return int(self._server.server_address[1])

    def start(self) -> None:
        """Listen and answer in the background.

        Raises:
            EdgeWorkerError: the address is not available. Not a ConfigError, because a restart by the service manager
                may succeed.
        """
        address = (self._config.host, self._config.port)
        try:
            self._server = _Server(address, self._pages)
        except OSError as error:
            raise EdgeWorkerError(
                f"ops.http: cannot listen on {address[0]}:{address[1]} ({error.strerror or error});"
                " choose another host or port, or null to switch the health page off"
            ) from error
        threading.Thread(target=self._server.serve_forever, name="health", daemon=True).start()

    def stop(self) -> None:
        """Stop listening; requests in progress end with the process."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False  # a slow client must not delay the worker's stop

    def __init__(self, address: tuple[str, int], pages: Mapping[str, Callable[[str], _Answer]]) -> None:
        self.pages = pages
        self.address_family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        self._client_slots = threading.BoundedSemaphore(MAX_CLIENTS)
        super().__init__(address, _Handler)

    def server_bind(self) -> None:
        # HTTPServer's method looks up our host name, which can take long and is not needed here.
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = str(self.server_address[0]), int(self.server_address[1])

    def get_request(self) -> tuple[socket.socket, Any]:
        try:
            return super().get_request()
        except OSError:  # probably out of file descriptors: without a pause, retrying would take up a CPU
            time.sleep(PAUSE_S)
            raise

    def process_request(self, request: object, client_address: object) -> None:
        if not self._client_slots.acquire(blocking=False):
            self.shutdown_request(request)  # type: ignore[arg-type]
            return
        try:
            super().process_request(request, client_address)  # type: ignore[arg-type]
        except RuntimeError:  # no more threads can be started
            self._client_slots.release()
            raise

    def process_request_thread(self, request: object, client_address: object) -> None:
        try:
            with _limited(request):  # type: ignore[arg-type]
                super().process_request_thread(request, client_address)  # type: ignore[arg-type]
        finally:
            self._client_slots.release()

    def handle_error(self, request: object, client_address: object) -> None:
        del request
        _log.debug(log_events.HEALTH_CLIENT_GONE, client=str(client_address), problem=repr(sys.exc_info()[1]))


@contextmanager
def _limited(client: socket.socket) -> Iterator[None]:
    """Close the connection of *client* after ``CLIENT_LIMIT_S``."""
    end = threading.Timer(CLIENT_LIMIT_S, _cut_off, (client,))
    end.daemon = True
    end.start()
    try:
        yield
    finally:
        end.cancel()


def _cut_off(client: socket.socket) -> None:
    with suppress(OSError):  # already closed
        client.shutdown(socket.SHUT_RDWR)


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    timeout = CLIENT_TIMEOUT_S
    server_version, sys_version = "edge-worker", ""

    def do_GET(self) -> None:
        self._reply(self._answer(), with_body=True)

    def do_HEAD(self) -> None:
        self._reply(self._answer(), with_body=False)

    def do_OPTIONS(self) -> None:
        """List the allowed methods, for load balancers."""
        self._allow(HTTPStatus.NO_CONTENT)

    def do_POST(self) -> None:
        """Refuse this and every other method that would change something."""
        self._allow(HTTPStatus.METHOD_NOT_ALLOWED)

    do_PUT = do_PATCH = do_DELETE = do_POST  # noqa: N815 - named by http.server

    def _allow(self, status: HTTPStatus) -> None:
        self.send_response(status)
        self.send_header("Allow", "GET, HEAD, OPTIONS")
        self.end_headers()

    def _answer(self) -> _Answer:
        page = self.server.pages.get(self.path.partition("?")[0])
        if page is None:
            known = ", ".join(self.server.pages)
            return _Answer(HTTPStatus.NOT_FOUND, "text/plain", f"not found; there are: {known}\n".encode())
        try:
            return page(self.headers.get("Accept", ""))
        except Exception:  # noqa: BLE001 - reported to client and log; a page is no reason to end the worker
            _log.exception(log_events.HEALTH_PAGE_FAILED, page=self.path)
            return _Answer(HTTPStatus.INTERNAL_SERVER_ERROR, "text/plain", b"see the worker's log\n")

    def _reply(self, answer: _Answer, *, with_body: bool) -> None:
        self.send_response(answer.status)
        self.send_header("Content-Type", answer.content_type)
        self.send_header("Content-Length", str(len(answer.body)))
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        if with_body:
            self.wfile.write(answer.body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - named by the base class
        _log.debug(log_events.HEALTH_PAGE, request=format % args)


def _health_answer(health: Health) -> _Answer:
    status = HTTPStatus.OK if health.ok else HTTPStatus.SERVICE_UNAVAILABLE
    return _Answer(status, "application/json", health.to_json())


def _metrics_answer(page: tuple[bytes, str]) -> _Answer:
    body, content_type = page
    return _Answer(HTTPStatus.OK, content_type, body)
