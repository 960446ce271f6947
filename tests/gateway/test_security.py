"""Requests that mean no good: other sites, other hosts, no token, slow, endless, crooked."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Any

import pytest
from brokers import wait_until
from commands import run
from gateways import Response, form
from replies import JPEG

from edge_worker.config import GatewayConfig
from edge_worker.gateway.limits import RateLimit
from edge_worker.gateway.security import Secrets

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from gateways import GatewayProcess, Stack

PARSE = "/api/v1/parse"
TOKEN = "correct horse battery staple"  # noqa: S105 - of the tests

pytestmark = pytest.mark.mosquitto


def raw(gateway: GatewayProcess, request: bytes, timeout_s: float = 20.0) -> bytes:
    """Send bytes as they are; returns what comes until the connection is closed or silent."""
    with socket.create_connection(("127.0.0.1", gateway.port), timeout_s) as connection:
        connection.sendall(request)
        return connection.recv(65_536)


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Sec_Fetch_Site": "cross-site"},
        {"Sec_Fetch_Site": "same-site"},
        {"Host": "evil.example"},
        {"Host": "127.0.0.1.evil.example"},
    ],
)
def test_other_sites_and_names_are_refused(stack: Stack, headers: dict[str, Any]) -> None:
    """A page of another origin, or a name rebound to this address, gets nothing done (CSRF, DNS rebinding)."""
    assert stack.gateway.post("/api/v1/nodes/box/commands/ping", **headers).status == 403
    assert stack.gateway.post(PARSE, JPEG, Content_Type="image/jpeg", **headers).status == 403


def test_no_page_of_another_origin_may_read(stack: Stack) -> None:
    """There are no CORS headers, and what is served is confined to itself."""
    response = stack.gateway.get("/", Origin=stack.gateway.address)
    assert response.status == 200
    assert not [name for name in response.headers if name.lower().startswith("access-control-")]
    policy = response.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy
    assert response.headers["x-content-type-options"] == "nosniff"


@pytest.fixture
def guarded(make_gateway: Callable[..., GatewayProcess], tmp_path: Path) -> GatewayProcess:
    """A gateway with a token."""
    (tmp_path / "token").write_text(TOKEN + "\n")
    return make_gateway(token_file=str(tmp_path / "token")).online()


def test_with_a_token_nothing_is_told_without_it(guarded: GatewayProcess) -> None:
    """Neither in the header of another scheme, nor in an address; page and health need none and tell nothing."""
    for path in ("/api/v1/nodes", "/api/v1/events", "/metrics", f"/api/v1/nodes?token={TOKEN.replace(' ', '+')}"):
        assert guarded.get(path).status == 401
        assert guarded.get(path, Authorization="Bearer wrong").status == 401
        assert guarded.get(path, Authorization=f"Basic {TOKEN}").status == 401
    assert guarded.get("/api/v1/nodes", Authorization=f"Bearer {TOKEN}").status == 200
    assert guarded.get("/").status == guarded.get("/healthz").status == 200
    assert guarded.post(PARSE, JPEG, Content_Type="image/jpeg").status == 401
    assert TOKEN not in guarded.log_file.read_text()


def test_the_dialect_carries_the_token_in_its_form(guarded: GatewayProcess) -> None:
    """As ``api_key``."""
    for key, status in ((b"wrong", 401), (TOKEN.encode(), 200)):
        body, content_type = form(image=JPEG, api_key=key)
        assert guarded.post("/v1/vision/detection", body, Content_Type=content_type).status == status


def test_a_proxy_is_known_by_its_secret(make_gateway: Callable[..., GatewayProcess], tmp_path: Path) -> None:
    """Whoever else sends the header has to know it."""
    (tmp_path / "secret").write_text(TOKEN)
    gateway = make_gateway(proxy_secret_file=str(tmp_path / "secret")).ready()
    assert gateway.get("/api/v1/nodes", X_Edge_Worker_Proxy=TOKEN).status == 200
    assert gateway.get("/api/v1/nodes", X_Edge_Worker_Proxy="x").status == 401
    assert gateway.get("/api/v1/nodes").status == 401


def test_an_open_address_without_a_login_is_refused(tmp_path: Path) -> None:
    """The command says which keys are missing, and ends with the code of a wrong configuration."""
    file = tmp_path / "c.yaml"
    file.write_text("mqtt: {host: localhost}\ngateway: {host: 0.0.0.0}\n")
    done = run("gateway", "-c", file)
    assert done.returncode == 78
    assert "gateway.host" in done.stderr
    assert "token_file" in done.stderr


def test_a_client_is_slowed_down_alone(make_gateway: Callable[..., GatewayProcess]) -> None:
    """Past its rate it gets 429 and is told when to come back; reading costs less, and health is always served."""
    gateway = make_gateway(requests_per_minute=1, commands=False).ready()
    assert [gateway.get("/api/v1/nodes").status for _ in range(20)] == [200] * 20
    statuses = [gateway.post("/api/v1/nodes/box/commands/ping").status for _ in range(9)]
    assert statuses == [403] * 8 + [429]
    assert gateway.get("/healthz").status == 200


def test_a_bucket_refills() -> None:
    """Each client has its own, of a tenth of a minute's requests."""
    rates = RateLimit(60)
    assert [rates.wait_s("a", 0.0) for _ in range(10)] == [0.0] * 10
    assert rates.wait_s("a", 0.0) == pytest.approx(1.0)
    assert rates.wait_s("b", 0.0) == 0.0
    assert rates.wait_s("a", 2.0) == 0.0


@pytest.mark.parametrize(
    "path",
    [
        "/static/../server.py",
        "/static/%2e%2e/server.py",
        "/static/..%2f..%2f..%2fpyproject.toml",
        "/static//etc/passwd",
        "/../../etc/passwd",
        "/api/v1/cameras/..%2f..%2fetc/latest/frame.jpg",
        "/api/v1/cameras/door/latest/..%2f..%2fpasswd",
    ],
)
def test_no_path_leads_out(stack: Stack, path: str) -> None:
    """Only the page's own files are served."""
    request = f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    status = raw(stack.gateway, request.encode()).split()[1]
    assert status in {b"404", b"422"}


def test_an_endless_body_is_cut_off(stack: Stack) -> None:
    """Chunks are counted as they come; the limit is 1 MB here, and no more is read."""
    head = f"POST {PARSE} HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/jpeg\r\nTransfer-Encoding: chunked\r\n\r\n"
    chunk = b"10000\r\n" + bytes(65_536) + b"\r\n"
    response = raw(stack.gateway, head.encode() + 20 * chunk)
    assert response.split()[1] == b"413"
    assert stack.gateway.rss_mb() < 120


def test_an_announced_length_is_enough_to_refuse(stack: Stack) -> None:
    """Of a body over the limit no byte is read."""
    head = f"POST {PARSE} HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/png\r\nContent-Length: 1000001\r\n\r\n"
    assert raw(stack.gateway, head.encode()).split()[1] == b"413"


def test_arguments_are_no_place_for_megabytes(stack: Stack) -> None:
    """Only images may be large, whether their length is announced or not."""
    path = "/api/v1/nodes/box/commands/ping"
    assert stack.gateway.post(path, b" " * 20_000, Content_Type="application/json").status == 413
    head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
    assert raw(stack.gateway, head.encode() + b"4e20\r\n" + b" " * 20_000 + b"\r\n").split()[1] == b"413"


@pytest.mark.parametrize("junk", [b"\x16\x03\x01\x02\x00\x01\x00", b"GET / HTTP/9.9\r\n\r\n", b"\r\n" * 20_000])
def test_junk_gets_an_error_or_nothing(stack: Stack, junk: bytes) -> None:
    """And the gateway serves on."""
    response = raw(stack.gateway, junk)
    assert response == b"" or response.split()[1] in {b"400", b"403", b"431", b"505"}
    assert stack.gateway.get("/healthz").status == 200


def test_a_conflict_of_lengths_is_no_smuggling(stack: Stack) -> None:
    """Content-Length together with Transfer-Encoding is refused, and what follows is not read."""
    request = (
        f"POST {PARSE} HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/jpeg\r\nContent-Length: 4\r\n"
        "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /metrics HTTP/1.1\r\nHost: evil.example\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", stack.gateway.port), 20.0) as connection:
        connection.sendall(request.replace("evil.example", "localhost").encode())
        responses = connection.makefile("rb").read()
    assert responses.split()[1] == b"400"
    assert responses.count(b"HTTP/1.1 ") == 1


def test_a_client_that_leaves_amid_its_body_is_no_defect(stack: Stack) -> None:
    """Nothing is parsed, and the log has a line for it as for every request, without a traceback."""
    head = f"POST {PARSE} HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/png\r\nContent-Length: 4321\r\n\r\n"
    before = stack.gateway.log_file.read_text().count('"status": 400')
    with socket.create_connection(("127.0.0.1", stack.gateway.port), 20.0) as connection:
        connection.sendall(head.encode() + JPEG)
    wait_until(lambda: stack.gateway.log_file.read_text().count('"status": 400') > before, "the request is logged")
    assert "Traceback" not in stack.gateway.log_file.read_text()


def test_only_sizes_and_times_are_logged(stack: Stack) -> None:
    """No name of a file, no byte of an image, no address of a client."""
    body, content_type = form(image=JPEG)
    response: Response = stack.gateway.post(PARSE, body.replace(b'"f"', b'"holiday.jpg"'), Content_Type=content_type)
    assert response.status == 200
    log = stack.gateway.log_file.read_text()
    assert "holiday" not in log
    assert '"event": "request"' in log


def test_secrets_are_compared_whole(tmp_path: Path) -> None:
    """No secret configured lets nobody in by an empty one."""
    assert not Secrets(None, None).by_token("")
    assert not Secrets("a", None).by_token("")
    (tmp_path / "token").write_text("a\n")
    assert Secrets.read(GatewayConfig(token_file=tmp_path / "token")).by_token("a")
