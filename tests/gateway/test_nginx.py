"""deploy/nginx before the gateway, in Debian's nginx: TLS, the login, the limits."""

from __future__ import annotations

import base64
import os
import shutil
import ssl
import subprocess
import urllib.error
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from brokers import free_port, is_listening, wait_until
from certificates import Authority
from replies import JPEG

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from gateways import GatewayProcess

NGINX = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
if NGINX is None and os.environ.get("CI") != "true":
    pytest.skip("nginx is not installed", allow_module_level=True)

EXAMPLE = Path(__file__).parents[2] / "deploy" / "nginx" / "edge-worker-gateway.conf"
SECRET, LOGIN = "f00d" * 8, b"anna:swordfish"
pytestmark = pytest.mark.mosquitto


@pytest.fixture
def proxy(make_gateway: Callable[..., GatewayProcess], tmp_path: Path) -> Iterator[Callable[..., int]]:
    """The example with paths and ports of the test's own; gives a function that sends requests through it."""
    (tmp_path / "secret").write_text(SECRET)
    gateway = make_gateway(proxy_secret_file=str(tmp_path / "secret"), hosts=["parse.example"]).ready()
    port, authority = free_port(), Authority(tmp_path / "ca")
    certificate = authority.issue("edge-worker", alt_names="IP:127.0.0.1")
    (tmp_path / "edge-worker.htpasswd").write_text("anna:{PLAIN}swordfish\n")
    (tmp_path / "edge-worker-secret.conf").write_text(f'proxy_set_header X-Edge-Worker-Proxy "{SECRET}";\n')
    changes = {
        "listen 443 ssl": f"listen 127.0.0.1:{port} ssl",
        "/etc/nginx/edge-worker.crt": str(certificate.cert),
        "/etc/nginx/edge-worker.key": str(certificate.key),
        "/etc/nginx/": f"{tmp_path}/",
        "http://127.0.0.1:8080": gateway.address,
    }
    site = EXAMPLE.read_text()
    for old, new in changes.items():
        assert old in site
        site = site.replace(old, new)
    places = "".join(
        f"{name}_temp_path {tmp_path}/{name};" for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    main = f"user root; pid {tmp_path}/pid; daemon off; events {{}} http {{ access_log off; {places}\n{site}\n}}\n"
    (tmp_path / "nginx.conf").write_text(main)
    command = [str(NGINX), "-p", str(tmp_path), "-e", str(tmp_path / "error.log"), "-c", str(tmp_path / "nginx.conf")]
    trust = ssl.create_default_context(cafile=str(authority.cert))
    with subprocess.Popen(command) as process:
        try:
            wait_until(lambda: is_listening(port), "nginx listens")
            yield lambda path, body=None, login=LOGIN: status_of(f"https://127.0.0.1:{port}{path}", body, login, trust)
        finally:
            process.terminate()


def status_of(address: str, body: bytes | None, login: bytes, trust: ssl.SSLContext) -> int:
    """The status of a request for ``parse.example``."""
    headers = {"Host": "parse.example", "Content-Type": "image/jpeg"}
    if login:
        headers["Authorization"] = "Basic " + base64.b64encode(login).decode()
    try:
        with urllib.request.urlopen(  # noqa: S310 - loopback
            urllib.request.Request(address, body, headers),  # noqa: S310
            context=trust,
            timeout=20.0,
        ) as response:
            return int(response.status)
    except urllib.error.HTTPError as error:
        with error:
            return error.code


def test_the_example_lets_in_whom_it_should(proxy: Callable[..., int]) -> None:
    """Over TLS and with the login a photo is parsed; without, nothing is served; what is too large stops at nginx."""
    wait_until(lambda: proxy("/readyz") == 200, "the gateway is ready")
    assert proxy("/api/v1/parse", JPEG) == 200
    assert proxy("/", login=b"") == 401
    assert proxy("/api/v1/parse", JPEG, login=b"anna:guess") == 401
    assert proxy("/api/v1/parse", bytes(17 << 20)) == 413
    assert proxy("/api/v1/jobs", JPEG) == 202
