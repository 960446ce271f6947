"""Clients that do not send what they began, and clients that take nothing of what they are sent."""

from __future__ import annotations

import socket
import threading
from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from unittest.mock import Mock

import pytest

pytest.importorskip("fastapi", reason="the extra `web` is not installed")

import uvicorn
from brokers import free_port, wait_until

from edge_worker.config import CameraConfig, Config, GatewayConfig, JobsConfig, MqttConfig
from edge_worker.gateway import bodies, hub, protocol, security, server
from edge_worker.gateway.cameras import Camera
from edge_worker.gateway.hub import Hub
from edge_worker.gateway.routes import cameras

if TYPE_CHECKING:
    from collections.abc import Iterator

STREAM = b"GET /api/v1/cameras/door/stream.mjpeg HTTP/1.1\r\nHost: localhost\r\n\r\n"
HEALTH = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"
IMAGE = b"\xff\xd8\xff" + bytes(12_000_000)  # more than the kernel keeps to be sent


@dataclass(frozen=True)
class Served:
    """What serves, and where."""

    server: uvicorn.Server
    port: int


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> Iterator[Served]:
    """A gateway without a broker, whose camera ``door`` has an image of 12 MB; it waits 0.5 s for readers."""
    monkeypatch.setattr(protocol, "WRITE_S", 0.5)
    monkeypatch.setattr(cameras, "STILL_S", 0.01)
    gateway = GatewayConfig(port=free_port(), jobs=JobsConfig(max_jobs=0))
    config = Config(mqtt=MqttConfig(host="127.0.0.1", port=free_port()), cameras=(CameraConfig(),), gateway=gateway)
    parts = Hub(config, {})
    parts.cameras.cameras["door"] = Camera(images={"frame": IMAGE})
    running = uvicorn.Server(server._settings(config, server.make_app(parts)))
    thread = threading.Thread(target=running.run)
    thread.start()
    try:
        wait_until(lambda: running.started, "the gateway listens")
        yield Served(running, config.gateway.port)
    finally:
        running.should_exit = True
        thread.join(20.0)


def opened(port: int, request: bytes = STREAM) -> socket.socket:
    """A connection that has sent its request and reads nothing."""
    client = socket.socket()
    client.settimeout(10.0)
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65_536)  # else the kernel may take megabytes for it
    client.connect(("127.0.0.1", port))
    client.sendall(request)
    return client


def status(client: socket.socket) -> bytes:
    return client.recv(12).rpartition(b" ")[2]


def asked(port: int, request: bytes) -> bytes:
    with opened(port, request) as client:
        return status(client)


def test_headers_that_do_not_come_end_the_connection(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    """Slowloris: without a whole request in time the connection is closed; meanwhile others are served."""
    monkeypatch.setattr(protocol, "HEADERS_S", 1.0)
    with opened(served.port, b"GET / HTTP/1.1\r\nHost: localhost\r\nX-Slow: ") as slow:
        for _ in range(3):
            with opened(served.port, HEALTH) as other:
                assert status(other) == b"200"
        slow.sendall(b"still ")
        assert slow.recv(1) == b""


def test_nor_do_those_of_a_second_request(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection that was good for one request is held no longer by the next."""
    monkeypatch.setattr(protocol, "HEADERS_S", 1.0)
    with opened(served.port, HEALTH) as slow, slow.makefile("rb") as answers:
        response = iter(answers.readline, b"ok\n")
        assert next(response).startswith(b"HTTP/1.1 200 ")
        assert list(response)
        slow.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\nX-Slow: ")
        assert answers.read() == b""


def test_health_is_told_however_many_connect(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    """Past the limit, the connection that is idle for longest makes room; those amid one stay."""
    monkeypatch.setattr(protocol, "MAX_CONNECTIONS", 4)
    connections: Any = served.server.server_state.connections
    with ExitStack() as clients:
        stream = clients.enter_context(opened(served.port))
        assert status(stream) == b"200"
        slow = [clients.enter_context(opened(served.port, b"GET / HTTP/1.1\r\nX-Slow: ")) for _ in range(6)]
        health = clients.enter_context(opened(served.port, HEALTH))
        assert status(health) == b"200"
        wait_until(lambda: len(connections) == 4, "no more are open than may be")
        with pytest.raises(ConnectionResetError):
            slow[0].recv(1)
        assert stream.recv(1)


def test_health_is_told_however_many_requests_are_served(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    """What else is asked for then gets 429, and is answered again when there are fewer."""
    monkeypatch.setattr(security, "MAX_REQUESTS", 2)
    cameras = HEALTH.replace(b"/healthz", b"/api/v1/cameras")
    with ExitStack() as clients:
        for _ in range(2):
            assert status(clients.enter_context(opened(served.port))) == b"200"
        for request, expected in ((HEALTH, b"200"), (cameras, b"429")):
            assert status(clients.enter_context(opened(served.port, request))) == expected
    wait_until(lambda: asked(served.port, cameras) == b"200", "the streams have ended")


def test_arguments_that_do_not_come_are_given_up(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    """A command's body is waited for as long as an image, and no longer."""
    monkeypatch.setattr(bodies, "BODY_S", 0.1)
    head = "POST /api/v1/nodes/box/commands/ping HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n"
    with opened(served.port, head.encode()) as slow:
        assert status(slow) == b"408"


def test_the_waits_are_those_of_the_documentation() -> None:
    """10 s for headers, 30 s for bodies and for readers, as docs/gateway.md says."""
    assert (protocol.HEADERS_S, bodies.BODY_S, protocol.WRITE_S) == (10.0, 30.0, 30.0)


def test_listeners_are_counted_when_they_come_together(served: Served) -> None:
    """Of many at once no more are let in than may listen, and a place that is left is free."""
    events = STREAM.replace(b"cameras/door/stream.mjpeg", b"events")
    clients = [opened(served.port, events) for _ in range(hub.MAX_LISTENERS + 8)]
    try:
        assert Counter(map(status, clients)) == {b"200": hub.MAX_LISTENERS, b"429": 8}
    finally:
        for client in clients:
            client.close()
    wait_until(lambda: asked(served.port, events) == b"200", "a place is free")


def test_who_never_reads_holds_no_place_for_ever(served: Served) -> None:
    """Streams have 16 places; those of clients that take nothing are free again after a while."""
    silent = [opened(served.port) for _ in range(hub.MAX_STREAMS)]
    late: list[socket.socket] = []

    def is_served() -> bool:
        late.append(opened(served.port))
        return status(late[-1]) == b"200"

    try:
        wait_until(lambda: not is_served(), "all places are taken")
        wait_until(is_served, "a place is free")
    finally:
        for client in [*silent, *late]:
            client.close()


def test_an_answer_that_is_not_read_is_given_up(served: Served) -> None:
    """Not streams alone: whoever asks for an image and leaves it lying loses the connection."""
    connections: Any = served.server.server_state.connections
    with opened(served.port, STREAM.replace(b"stream.mjpeg", b"latest/frame.jpg")):
        wait_until(lambda: any(one.flow.write_paused for one in connections), "the answer is on its way")
        wait_until(lambda: not connections, "the connection is given up")


@pytest.mark.parametrize(("taken", "aborted"), [(0, True), (100, True), (protocol.MIN_READ, False)])
def test_who_reads_slowly_is_waited_for(taken: int, aborted: bool) -> None:  # noqa: FBT001
    """As long as something worth it is taken in each of the waits."""
    connection, transport = object.__new__(protocol.Protocol), Mock()
    connection.transport, connection.loop = transport, Mock()
    transport.get_write_buffer_size.return_value = 100_000 - taken
    connection._check_progress(100_000)
    assert (transport.abort.called, connection.loop.call_later.called) == (aborted, not aborted)
