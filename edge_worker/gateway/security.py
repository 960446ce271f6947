"""Who may send which request: names, origins, tokens, rates; and the headers that restrict the page."""

from __future__ import annotations

import hmac
import time
from dataclasses import dataclass
from ipaddress import ip_address
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect, Request

from edge_worker.common import log_events
from edge_worker.config import GatewayConfig, read_secret
from edge_worker.gateway.bodies import read_body
from edge_worker.gateway.limits import RateLimit
from edge_worker.gateway.problems import Problem

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from edge_worker.gateway.hub import Hub

PROXY_HEADER: Final = "x-edge-worker-proxy"
MAX_REQUESTS: Final = 256  # served at a time
COST_OF_READING: Final = 0.1  # of a request that changes or parses something: the page reads many images for Live
MAX_ARGUMENTS: Final = 16_384  # bytes, as for commands over MQTT
_STREAMED: Final = frozenset({"/api/v1/parse", "/api/v1/jobs", "/v1/vision/detection"})
_SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_OPEN: Final = ("/static/", "/healthz", "/readyz", "/v2/health/")
_OPEN_PAGES: Final = frozenset({"/", "/docs"})
_HEADERS: Final = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; connect-src 'self';"
        " media-src 'self' blob:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(self), microphone=(), geolocation=()",
}
_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Secrets:
    """The token of clients and the secret of the proxy; None if not configured."""

    token: str | None
    proxy: str | None

    @classmethod
    def read(cls, config: GatewayConfig) -> Secrets:
        """Read the files that *config* names.

        Raises:
            ConfigError: one cannot be read.
        """
        token, proxy = config.token_file, config.proxy_secret_file
        return cls(
            None if token is None else read_secret(token, "gateway.token_file"),
            None if proxy is None else read_secret(proxy, "gateway.proxy_secret_file"),
        )

    @property
    def required(self) -> bool:
        """Whether a request must have one."""
        return self.token is not None or self.proxy is not None

    def by_proxy(self, headers: Headers) -> bool:
        """Whether the proxy passed the request on."""
        return _same(headers.get(PROXY_HEADER, ""), self.proxy)

    def by_token(self, shown: str) -> bool:
        """Whether *shown* is the token."""
        return _same(shown, self.token)


def _same(shown: str, secret: str | None) -> bool:
    return secret is not None and hmac.compare_digest(shown.encode(), secret.encode())


class Guard:
    """ASGI middleware around everything that is served."""

    def __init__(self, app: ASGIApp, hub: Hub) -> None:
        """Pass permitted requests on to *app*."""
        self._app, self._hub, self._secrets = app, hub, hub.secrets
        config = hub.config.gateway
        self._hosts = {
            name.lower() for name in ("localhost", "127.0.0.1", "[::1]", _bracketed(config.host), *config.hosts)
        }
        self._rates = RateLimit(config.requests_per_minute)
        self._serving = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or refuse it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began, sender, headers = time.monotonic(), _Sender(send), Headers(scope=scope)
        self._serving += 1
        try:
            await self._serve(scope, headers, receive, sender)
        finally:
            self._serving -= 1
        status = self._hub.responses
        status[sender.status] = status.get(sender.status, 0) + 1
        if scope["method"] not in _SAFE:
            ms = round(1000 * (time.monotonic() - began), 1)
            _log.info(
                log_events.GATEWAY_REQUEST, method=scope["method"], status=sender.status, bytes=sender.bytes, ms=ms
            )

    async def _serve(self, scope: Scope, headers: Headers, receive: Receive, send: Send) -> None:
        try:
            self._check(scope, headers)
            if scope["method"] not in _SAFE and scope["path"] not in _STREAMED:
                receive = await _with_arguments(scope, receive)
        except Problem as problem:
            response = problem.response()
            if _has_two_lengths(headers):
                response.headers["Connection"] = "close"  # nobody knows where the next request begins
            await response(scope, receive, send)
        else:
            await self._app(_as_get(scope), receive, send)

    def _check(self, scope: Scope, headers: Headers) -> None:
        """Require that a request may pass.

        Raises:
            Problem: it may not.
        """
        if _has_two_lengths(headers):
            raise Problem("bad_request", "send either Content-Length or Transfer-Encoding")
        host = headers.get("host", "").lower()
        if _without_port(host) not in self._hosts:
            raise Problem("forbidden", "this host name is not served: add it to gateway.hosts")
        _check_origin(scope["method"], host, headers)
        path, proxied = scope["path"], self._secrets.by_proxy(headers)
        if path.startswith(_OPEN) or path in _OPEN_PAGES:
            return
        if self._serving > MAX_REQUESTS:
            raise Problem("too_many_requests", f"{MAX_REQUESTS} requests are being served; try again in a moment")
        cost = COST_OF_READING if scope["method"] in _SAFE else 1.0
        wait_s = self._rates.wait_s(_client(scope, headers, proxied=proxied), time.monotonic(), cost)
        if wait_s:
            raise Problem("too_many_requests", "this client sends too many requests", retry_after_s=int(wait_s) + 1)
        if proxied or not self._secrets.required or path.startswith("/v1/vision/"):  # whose forms carry the token
            return
        scheme, _, shown = headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not self._secrets.by_token(shown.strip()):
            raise Problem("unauthorized", "send the token: Authorization: Bearer …")


class _Sender:
    """Adds our headers to a response, and records its status and size."""

    def __init__(self, send: Send) -> None:
        self._send, self.status, self.bytes = send, 500, 0

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            headers = MutableHeaders(scope=message)
            headers.update(_HEADERS)
            headers.setdefault("Cache-Control", "no-cache" if "etag" in headers else "no-store")
        else:
            self.bytes += len(message.get("body", b""))
        await self._send(message)


def _as_get(scope: Scope) -> Scope:
    """Serve HEAD of pages and health as GET; uvicorn omits the body."""
    outside = not scope["path"].startswith("/api/")
    return {**scope, "method": "GET"} if scope["method"] == "HEAD" and outside else scope


def _has_two_lengths(headers: Headers) -> bool:
    """Whether proxies may disagree with us about the end of the body (request smuggling; RFC 9112, 6.1)."""
    return "transfer-encoding" in headers and "content-length" in headers


async def _with_arguments(scope: Scope, receive: Receive) -> Receive:
    """Read a small body, not an image; returns the ``receive`` that passes it to the application.

    Raises:
        Problem: as :func:`read_body`; ``bad_request``: the client left.
    """
    try:
        body = await read_body(Request(scope, receive), MAX_ARGUMENTS)
    except ClientDisconnect:
        raise Problem("bad_request", "the body ends early") from None
    messages: list[Message] = [{"type": "http.request", "body": body}]

    async def read() -> Message:
        return messages.pop() if messages else await receive()

    return read


def _check_origin(method: str, host: str, headers: Headers) -> None:
    """Refuse what another site's page makes the browser send."""
    site, origin = headers.get("sec-fetch-site", "same-origin"), headers.get("origin")
    navigation = method in _SAFE and headers.get("sec-fetch-mode") == "navigate"
    if site not in {"same-origin", "none"} and not navigation:
        raise Problem("forbidden", "requests from other sites are refused")
    if origin is not None and urlsplit(origin).netloc.lower() != host:
        raise Problem("forbidden", "requests from other origins are refused")


def _client(scope: Scope, headers: Headers, *, proxied: bool) -> str:
    """Return whose rate is counted: the address that the proxy saw, or the connection's."""
    if proxied and (forwarded := headers.get("x-forwarded-for")):
        return forwarded.rpartition(",")[2].strip()
    client = scope.get("client")
    return client[0] if client else "unix"


def _without_port(host: str) -> str:
    name, separator, port = host.rpartition(":")
    return name if separator and port.isdigit() else host


def _bracketed(host: str) -> str:
    try:
        return f"[{host}]" if ip_address(host).version == 6 else host  # noqa: PLR2004 - IPv6
    except ValueError:
        return host
