"""The section ``mqtt``: how to reach the broker."""

import ipaddress
import re
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from edge_worker.config.fields import FilePath, Megabytes, Port, Seconds, Section, matching

PLAIN_PORT, TLS_PORT = 1883, 8883  # registered with IANA as mqtt and secure-mqtt
MAX_HOST_LENGTH = 253  # DNS's limit
_HOST_LABEL = re.compile(r"(?!-)[A-Za-z0-9_-]{1,63}(?<!-)")  # underscores: not DNS, but container networks use them


def _as_text(value: object) -> object:
    """Convert an unquoted ``5`` or ``1.2`` to text."""
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else value


def is_host(text: str) -> bool:
    """Whether *text* is a host name or an IP address, and nothing more (no scheme, port or path)."""
    try:
        ipaddress.ip_address(text)
    except ValueError:
        labels = text.removesuffix(".").split(".")
        return len(text) <= MAX_HOST_LENGTH and all(map(_HOST_LABEL.fullmatch, labels))
    return True


def is_loopback(host: str) -> bool:
    """Whether *host*, a name or an address, can be reached only from this machine."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


class ReconnectConfig(Section):
    """Waiting times between attempts to connect: random, doubling from ``min_s`` to ``max_s``."""

    min_s: Seconds = 0.5
    max_s: Seconds = 60.0
    stable_s: Seconds = 30.0
    """A connection that lasted this long is stable: the next wait starts from ``min_s`` again."""


class TlsConfig(Section):
    """Encryption. An empty section: verified against the system's CAs."""

    ca_file: FilePath | None = None
    cert_file: FilePath | None = None
    key_file: FilePath | None = None
    key_password_file: FilePath | None = None
    verify: bool = True
    alpn: Annotated[str, matching("[!-~]{1,255}", "should be one protocol name, without spaces")] | None = None
    """Protocol to offer by ALPN (RFC 7301)."""
    min_version: Annotated[Literal["1.2", "1.3"], BeforeValidator(_as_text)] = "1.2"


class MqttConfig(Section):
    """The broker, the login and the limits of a connection."""

    host: str
    """Host name or address; the socket's absolute path with ``transport: unix``."""
    port: Port = PLAIN_PORT
    """Default 8883 if ``tls`` is given."""
    transport: Literal["tcp", "unix", "websockets"] = "tcp"
    websocket_path: Annotated[str, matching("/[!-~]*", "should begin with /, and hold no spaces")] = "/mqtt"
    protocol: Annotated[Literal["auto", "5", "3.1.1"], BeforeValidator(_as_text)] = "auto"
    client_id: Annotated[
        str, matching(r"[^\s+#/\x00-\x1f\x7f]{1,100}", "should be 1 to 100 characters without spaces, +, # and /")
    ] = "edge-worker-{node}"
    """A template; :attr:`Config.client_id` is the result."""
    username: Annotated[str, Field(min_length=1)] | None = None
    password_file: FilePath | None = None
    keepalive_s: Annotated[int, Field(ge=5, le=65535)] = 30
    connect_timeout_s: Seconds = 5.0
    connack_timeout_s: Seconds = 10.0
    session_expiry_s: Annotated[int, Field(ge=60, le=0xFFFF_FFFF)] = 86400
    """Of the persistent session for ``every`` cameras; 4294967295: never."""
    will_delay_s: Annotated[int, Field(ge=0, le=3600)] = 10
    allow_plaintext: bool = False
    max_result_mb: Megabytes = 8.0
    reconnect: ReconnectConfig = ReconnectConfig()
    tls: TlsConfig | None = None

    @model_validator(mode="before")
    @classmethod
    def _fill_in_the_usual_port(cls, values: Any) -> Any:  # noqa: ANN401 - any value; the fields validate it
        if not isinstance(values, dict) or values.get("port") is not None:
            return values
        return {**values, "port": PLAIN_PORT if values.get("tls") is None else TLS_PORT}

    @property
    def max_result_bytes(self) -> int:
        """``max_result_mb`` in bytes."""
        return int(self.max_result_mb * 1_000_000)

    @property
    def address(self) -> str:
        """Where the broker listens, for messages to people: host and port, or the socket's path."""
        return self.host if self.transport == "unix" else f"{self.host}:{self.port}"

    @property
    def is_local(self) -> bool:
        """Whether traffic to the broker stays on this machine."""
        return self.transport == "unix" or is_loopback(self.host)
