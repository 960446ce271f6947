"""The health page under friendly and unfriendly clients."""

from __future__ import annotations

import errno
import json
import socket
import socketserver
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from http.client import HTTPConnection, HTTPResponse, RemoteDisconnected
from typing import NoReturn

import pytest
from brokers import wait_until
from structlog.testing import capture_logs

from edge_worker.common.errors import EdgeWorkerError
from edge_worker.config import HttpConfig
from edge_worker.ops import health
from edge_worker.ops.health import Check, Health, HealthServer

ANY_PORT = HttpConfig.model_construct(host="127.0.0.1", port=0)  # the operator must name one; a test must not


def well() -> Health:
    return Health((Check("main", ok=True), Check("model", ok=True, detail="idle")))


def stuck() -> Health:
    return Health((Check("main", ok=True), Check("network", ok=False, detail="thread is dead")))


def page(_accept: str) -> tuple[bytes, str]:
    return b"x 1\n", "text/plain; version=0.0.4"


Serve = Callable[..., HealthServer]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Start servers, and stop them at the end."""
    with ExitStack() as stack:

        def start(**pages: Callable[..., object]) -> HealthServer:
            server = HealthServer(ANY_PORT, **{"alive": well, "ready": stuck, "metrics": page, **pages})  # type: ignore[arg-type]
            server.start()
            stack.callback(server.stop)
            return server

        yield start


def ask(server: HealthServer, path: str, method: str = "GET") -> tuple[HTTPResponse, bytes]:
    connection = HTTPConnection("127.0.0.1", server.port, timeout=5)
    try:
        connection.request(method, path)
        response = connection.getresponse()
        return response, response.read()
    finally:
        connection.close()


def try_to_ask(server: HealthServer, path: str) -> tuple[HTTPResponse, bytes] | None:
    """Return None where the server turned us away."""
    with suppress(RemoteDisconnected, ConnectionResetError):
        return ask(server, path)
    return None


def is_cut_off_after_a_byte(client: socket.socket) -> bool:
    try:
        client.send(b"x")
        return client.recv(1) == b""
    except TimeoutError:
        return False
    except ConnectionError:
        return True


def test_alive_and_ready_are_told_apart(serve: Serve) -> None:
    """200 when every part is well, 503 with the part that is not."""
    server = serve()
    response, body = ask(server, "/healthz")
    assert response.status == 200
    assert json.loads(body) == {
        "ok": True,
        "checks": {"main": {"ok": True, "detail": ""}, "model": {"ok": True, "detail": "idle"}},
    }
    response, body = ask(server, "/readyz?verbose")
    assert response.status == 503
    assert json.loads(body)["checks"]["network"] == {"ok": False, "detail": "thread is dead"}


def test_metrics_pass_through(serve: Serve) -> None:
    """Body and content type are the metrics module's."""
    response, body = ask(serve(), "/metrics")
    assert (response.status, body, response.headers["Content-Type"]) == (200, b"x 1\n", "text/plain; version=0.0.4")


def test_head_has_no_body(serve: Serve) -> None:
    """HEAD tells the status and the length alone."""
    response, body = ask(serve(), "/healthz", "HEAD")
    assert (response.status, body) == (200, b"")
    assert int(response.headers["Content-Length"]) > 0


def test_an_unknown_page_names_the_known_ones(serve: Serve) -> None:
    """A typing error is answered with what there is."""
    response, body = ask(serve(), "/health")
    assert response.status == 404
    assert b"/healthz, /readyz, /metrics" in body


def test_a_page_that_fails_is_told_and_harms_nothing(serve: Serve) -> None:
    """An exception behind a page gives 500 and a log line; the next request works, and no detail leaks out."""

    def broken() -> Health:
        raise ZeroDivisionError("hunter2")

    server = serve(ready=broken)
    with capture_logs() as said:
        response, body = ask(server, "/readyz")
    assert response.status == 500
    assert b"hunter2" not in body
    assert [(line["page"], line["exc_info"]) for line in said if line["log_level"] == "error"] == [("/readyz", True)]
    assert ask(server, "/healthz")[0].status == 200


def test_silent_clients_are_dropped_and_seats_come_back(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    """With every seat taken by clients that say nothing, one more is turned away; after the time limit all is well."""
    monkeypatch.setattr(health._Handler, "timeout", 0.5)
    server = serve()
    with ExitStack() as stack:
        silent = [
            stack.enter_context(socket.create_connection(("127.0.0.1", server.port), timeout=5))
            for _ in range(health.MAX_CLIENTS)
        ]
        late = stack.enter_context(socket.create_connection(("127.0.0.1", server.port), timeout=5))
        assert late.recv(1) == b""
        assert all(client.recv(1) == b"" for client in silent)
    deadline = time.monotonic() + 5  # a seat is free a moment after its client was cut off
    while (answer := try_to_ask(server, "/healthz")) is None:
        assert time.monotonic() < deadline
    assert answer[0].status == 200


def test_a_client_that_sends_a_byte_now_and_then_is_dropped(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its time is limited altogether; else sixteen of them would keep everybody out for days."""
    monkeypatch.setattr(health, "CLIENT_LIMIT_S", 0.5)
    server = serve()
    with socket.create_connection(("127.0.0.1", server.port), timeout=0.1) as client:
        deadline = time.monotonic() + 5
        while not is_cut_off_after_a_byte(client):
            assert time.monotonic() < deadline
    assert ask(server, "/healthz")[0].status == 200


def test_a_client_that_cannot_be_let_in_takes_no_processor(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    """While no file descriptor is left it goes on knocking; the server looks again now and then, and lets it in."""
    attempts: list[float] = []

    def accept(_server: socketserver.TCPServer) -> NoReturn:
        attempts.append(time.monotonic())
        raise OSError(errno.EMFILE, "Too many open files")

    server = serve()
    with monkeypatch.context() as exhausted:
        exhausted.setattr(socketserver.TCPServer, "get_request", accept)
        with socket.create_connection(("127.0.0.1", server.port)):
            wait_until(lambda: len(attempts) > 1, "another attempt")
    assert attempts[1] - attempts[0] >= health.PAUSE_S
    assert ask(server, "/healthz")[0].status == 200


def test_a_client_for_whom_there_is_no_thread_keeps_no_seat(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the box has threads again, the page is there again."""
    server = serve()

    def refuse(_thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as crowded:
        crowded.setattr(threading.Thread, "start", refuse)
        assert [try_to_ask(server, "/healthz") for _ in range(health.MAX_CLIENTS + 1)] == [None] * 17
    assert ask(server, "/healthz")[0].status == 200


def test_a_reader_that_never_reads_does_not_delay_the_stop(serve: Serve) -> None:
    """Stopping waits for no client, however much it still has to take."""
    asked = threading.Event()

    def endless(_accept: str) -> tuple[bytes, str]:
        asked.set()
        return b"x" * 50_000_000, "text/plain"

    server = serve(metrics=endless)
    with socket.create_connection(("127.0.0.1", server.port), timeout=5) as client:
        client.sendall(b"GET /metrics HTTP/1.0\r\n\r\n")
        assert asked.wait(30)
        stopper = threading.Thread(target=server.stop)
        stopper.start()
        stopper.join(30)
        assert not stopper.is_alive()


def test_a_taken_port_is_an_expected_error(serve: Serve) -> None:
    """The message names the key, the address and the way out; not a wrong configuration: the port may be free later."""
    port = serve().port
    second = HealthServer(HttpConfig(port=port), alive=well, ready=well, metrics=page)
    with pytest.raises(EdgeWorkerError, match=rf"ops\.http: cannot listen on 127\.0\.0\.1:{port} .*null"):
        second.start()


def test_the_port_is_known_only_once_it_is_open() -> None:
    """Asking too early is a defect of ours and says so; stopping what never started is not."""
    server = HealthServer(ANY_PORT, alive=well, ready=well, metrics=page)
    server.stop()
    with pytest.raises(RuntimeError, match="not been started"):
        _ = server.port


def test_options_names_the_methods(serve: Serve) -> None:
    """Load balancers ask before they get."""
    answer, body = ask(serve(), "/healthz", "OPTIONS")
    assert (answer.status, answer.headers["Allow"], body) == (204, "GET, HEAD, OPTIONS", b"")


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
def test_a_method_that_changes_something_is_not_allowed(serve: Serve, method: str) -> None:
    """The answer names those that are."""
    answer, _ = ask(serve(), "/healthz", method)
    assert (answer.status, answer.headers["Allow"]) == (405, "GET, HEAD, OPTIONS")
