"""deploy/nginx and deploy/caddy before the gateway, in Debian's nginx and Caddy: TLS, the login, the limits."""

from __future__ import annotations

import base64
import os
import shutil
import ssl
import subprocess
from contextlib import closing, suppress
from dataclasses import dataclass
from http.client import HTTPSConnection
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from brokers import free_port, is_listening, wait_until
from certificates import Authority
from replies import JPEG

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from certificates import Certificate
    from gateways import GatewayProcess

DEPLOY = Path(__file__).parents[2] / "deploy"
SECRET, LOGIN = "f00d" * 8, b"anna:swordfish"
pytestmark = pytest.mark.mosquitto


@dataclass(frozen=True)
class Place:
    """Where a proxy is to run: its folder, its port, its certificate, and the gateway behind it."""

    folder: Path
    port: int
    certificate: Certificate
    gateway: str

    def example(self, name: str, changes: dict[str, str]) -> str:
        """The example of this name with paths and ports of the test's own."""
        text = (DEPLOY / name).read_text()
        for old, new in {**changes, "127.0.0.1:8080": self.gateway.removeprefix("http://")}.items():
            assert old in text
            text = text.replace(old, new)
        return text


def nginx(place: Place, program: str) -> list[str]:
    """Lay out the example; returns the command."""
    folder = place.folder
    (folder / "edge-worker.htpasswd").write_text("anna:{PLAIN}swordfish\n")
    (folder / "edge-worker-secret.conf").write_text(f'proxy_set_header X-Edge-Worker-Proxy "{SECRET}";\n')
    changes = {
        "listen 443 ssl": f"listen 127.0.0.1:{place.port} ssl",
        "/etc/nginx/edge-worker.crt": str(place.certificate.cert),
        "/etc/nginx/edge-worker.key": str(place.certificate.key),
        "/etc/nginx/": f"{folder}/",
    }
    site = place.example("nginx/edge-worker-gateway.conf", changes)
    temporary = "".join(
        f"{name}_temp_path {folder}/{name};" for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    main = f"user root; pid {folder}/pid; daemon off; events {{}} http {{ access_log off; {temporary}\n{site}\n}}\n"
    (folder / "nginx.conf").write_text(main)
    return [program, "-p", str(folder), "-e", str(folder / "error.log"), "-c", str(folder / "nginx.conf")]


def caddy(place: Place, program: str) -> list[str]:
    """Lay out the example; returns the command."""
    changes = {
        "parse.example {": f"https://parse.example:{place.port} {{\n\tbind 127.0.0.1\n"
        f"\ttls {place.certificate.cert} {place.certificate.key}",
        "operator {$": "anna {$",
    }
    options = f"{{\n\tadmin off\n\tstorage file_system {place.folder}\n\tdefault_sni parse.example\n}}\n"
    (place.folder / "Caddyfile").write_text(options + place.example("caddy/Caddyfile", changes))
    return [program, "run", "--config", str(place.folder / "Caddyfile")]


@pytest.fixture(params=[nginx, caddy])
def proxy(
    request: pytest.FixtureRequest, make_gateway: Callable[..., GatewayProcess], tmp_path: Path
) -> Iterator[Callable[..., int]]:
    """The example, running; gives a function that sends requests through it and returns their status."""
    name = request.param.__name__
    program = shutil.which(name) or shutil.which(name, path="/usr/sbin")
    if program is None and os.environ.get("CI") != "true":
        pytest.skip(f"{name} is not installed")
    assert program is not None
    (tmp_path / "secret").write_text(SECRET)
    gateway = make_gateway(proxy_secret_file=str(tmp_path / "secret"), hosts=["parse.example"]).ready()
    authority = Authority(tmp_path / "ca")
    certificate = authority.issue("edge-worker", alt_names="IP:127.0.0.1,DNS:parse.example")
    place = Place(tmp_path, free_port(), certificate, gateway.address)
    environment = {**os.environ, "EDGE_WORKER_PROXY_SECRET": SECRET, "HOME": str(tmp_path)}
    if request.param is caddy:
        hashing = [program, "hash-password", "--plaintext", LOGIN.partition(b":")[2].decode()]
        hashed = subprocess.run(hashing, capture_output=True, text=True, check=True, env=environment).stdout
        environment["EDGE_WORKER_PASSWORD_HASH"] = hashed.strip()
    trust = ssl.create_default_context(cafile=str(authority.cert))
    with (
        (tmp_path / "log").open("wb") as log,
        subprocess.Popen(request.param(place, program), env=environment, stdout=log, stderr=log) as process,
    ):
        try:
            wait_until(lambda: is_listening(place.port), f"{name} listens ({tmp_path / 'log'})")
            yield lambda path, body=None, login=LOGIN: status_of(place.port, path, body, login, trust)
        finally:
            process.terminate()


def status_of(port: int, path: str, body: bytes | None, login: bytes, trust: ssl.SSLContext) -> int:
    """The status of a request for ``parse.example``."""
    headers = {"Host": "parse.example", "Content-Type": "image/jpeg"}
    if login:
        headers["Authorization"] = "Basic " + base64.b64encode(login).decode()
    with closing(HTTPSConnection("127.0.0.1", port, context=trust, timeout=20.0)) as connection:
        connection.connect()
        with suppress(OSError):  # who answers amid a body that is too large may end the connection: the answer counts
            connection.request("GET" if body is None else "POST", path, body, headers)
        return connection.getresponse().status


def test_the_example_lets_in_whom_it_should(proxy: Callable[..., int]) -> None:
    """Over TLS and with the login photos are taken; without, nothing is served; what is too large stops there."""
    wait_until(lambda: proxy("/readyz") == 200, "the gateway is ready")
    assert proxy("/api/v1/parse", JPEG) == 200
    assert proxy("/api/v1/jobs", JPEG) == 202
    assert proxy("/", login=b"") == 401
    assert proxy("/api/v1/parse", JPEG, login=b"anna:guess") == 401
    assert proxy("/api/v1/parse", bytes(17 << 20)) == 413
