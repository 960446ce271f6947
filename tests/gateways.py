"""A real gateway process, and a fake worker that answers immediately without a model."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import paho.mqtt.client as paho
import yaml
from brokers import free_port, is_listening, wait_until
from links import disconnect
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from replies import PNG, labels_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Self

    from brokers import Mosquitto

START_S: Final = 60.0
CAMERAS: Final = [
    {"topic": "cameras/{camera}/frame"},
    {
        "topic": "requests/{camera}/frame",
        "delivery": "every",
        "share_group": "requests",
        "reply_prefix": "replies/",
    },
]
REQUESTS: Final = "$share/requests/requests/+/frame"
MODEL: Final = {"name": "m", "sha256": "0" * 64, "engine": "openvino", "precision": "f32"}
CLASSES: Final = [{"id": 0, "name": "Background", "color": "#000000"}, {"id": 1, "name": "Hat", "color": "#ff0000"}]


@dataclass(frozen=True)
class Response:
    """Response to a request."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:  # noqa: ANN401 - as received
        """Return the body parsed as JSON."""
        return json.loads(self.body)


class GatewayProcess:
    """``edge-worker gateway`` for the broker on *port*; *environment* is added to that of this process."""

    def __init__(
        self,
        directory: Path,
        port: int,
        environment: Mapping[str, str] | None = None,
        /,
        **sections: Any,  # noqa: ANN401 - of the configuration
    ) -> None:
        self.port = free_port()
        gateway = {"port": self.port, **sections.pop("gateway", {})}
        settings = {
            "node": {"id": "box"},
            "mqtt": {"host": "127.0.0.1", "port": port, "reconnect": {"min_s": 0.1, "max_s": 0.5}},
            "cameras": CAMERAS,
            "gateway": gateway,
            **sections,
        }
        self.configuration = directory / "gateway.yaml"
        self.configuration.write_text(yaml.safe_dump(settings))
        self.log_file, self.state = directory / "gateway.log", directory / "state"
        self._environment = environment or {}
        self.start()

    def start(self) -> Self:
        """Start it again after it was killed, as the constructor does."""
        with self.log_file.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "edge_worker", "gateway", "-c", self.configuration],
                stdout=log,
                stderr=log,
                env={**os.environ, "STATE_DIRECTORY": str(self.state), **self._environment},
            )
        return self

    def kill(self) -> None:
        """Kill it, as in a power failure."""
        self.process.kill()
        self.process.wait(START_S)

    @property
    def address(self) -> str:
        """Its URL."""
        return f"http://127.0.0.1:{self.port}"

    def ready(self) -> Self:
        """Wait until it listens and is connected to the broker."""
        wait_until(lambda: is_listening(self.port), f"the gateway listens ({self.log_file})", START_S)
        wait_until(lambda: "link: connected" in self.log_file.read_text(), "it is connected", START_S)
        return self

    def online(self) -> Self:
        """Wait until it can parse images."""
        self.ready()
        wait_until(lambda: self.get("/readyz").status == 200, "a worker is online", START_S)
        return self

    def get(self, path: str, **headers: str) -> Response:
        """GET *path*."""
        return self.request("GET", path, None, **headers)

    def post(self, path: str, body: bytes = b"", **headers: str) -> Response:
        """POST *body* to *path*; underscores in header names become dashes."""
        return self.request("POST", path, body, **headers)

    def request(self, method: str, path: str, body: bytes | None, **headers: str) -> Response:
        """Send a request."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        request = urllib.request.Request(self.address + path, body, named, method=method)  # noqa: S310 - loopback
        try:
            with urllib.request.urlopen(request, timeout=START_S) as response:  # noqa: S310 - loopback
                return Response(response.status, dict(response.headers), response.read())
        except urllib.error.HTTPError as error:
            with error:
                return Response(error.code, dict(error.headers), error.read())

    def rss_mb(self) -> float:
        """Return its resident memory."""
        status = Path(f"/proc/{self.process.pid}/status").read_text(encoding="ascii").splitlines()
        return next(int(line.split()[1]) / 1000 for line in status if line.startswith("VmRSS"))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.terminate()
        try:
            self.process.wait(START_S)
        finally:
            self.process.kill()


@dataclass
class FakeWorker:
    """Publishes "online", and replies to each request according to ``answer``: labels and map, an error, or nothing.

    After ``patience`` more requests it stops replying.
    """

    port: int
    node: str = "box"
    answer: str = "labels"
    patience: float = math.inf
    login: tuple[str, str] | None = None
    requests: list[paho.MQTTMessage] = field(default_factory=list)

    def __enter__(self) -> Self:
        self._client = paho.Client(CallbackAPIVersion.VERSION2, protocol=MQTTProtocolVersion.MQTTv5)
        if self.login is not None:
            self._client.username_pw_set(*self.login)
        self._client.on_message = self._take
        self._client.on_connect = lambda client, *_: client.subscribe(
            [(REQUESTS, 1), (f"edge-worker/{self.node}/request/+", 1)]
        )
        self._client.on_subscribe = lambda *_: self.say("online")
        self._client.connect("127.0.0.1", self.port)
        self._client.loop_start()
        return self

    def leave(self) -> None:
        """Unsubscribe from requests and wait for the broker's confirmation; the status is not changed."""
        known = threading.Event()
        self._client.on_unsubscribe = lambda *_: known.set()
        self._client.unsubscribe(REQUESTS)
        assert known.wait(START_S)

    def join(self) -> None:
        """Subscribe to requests again."""
        known = threading.Event()
        self._client.on_subscribe = lambda *_: known.set()
        self._client.subscribe(REQUESTS, 1)
        assert known.wait(START_S)

    def say(self, state: str, **facts: str) -> None:
        """Publish status and model card."""
        status = {"schema": "edge-worker.status/1", "node": self.node, "version": "1", "session": "s", "state": state}
        self._retain("status", {**status, "since": "2026-01-01T00:00:00.000Z", **facts})
        card = {"schema": "edge-worker.model/1", "node": self.node, "published_at": "2026-01-01T00:00:00.000Z"}
        threads: dict[str, Any] = {"requested": {}, "effective": {}}
        self._retain("model", {**card, "model": MODEL, "choice": "it is", "classes": CLASSES, "threads": threads})

    def publish(self, topic: str, payload: bytes) -> None:
        """Publish as a camera or worker would."""
        self._client.publish(topic, payload, 1)

    def _retain(self, kind: str, values: dict[str, Any]) -> None:
        self._client.publish(f"edge-worker/{self.node}/{kind}", json.dumps(values), 1, retain=True)

    def _take(self, client: paho.Client, _data: object, message: paho.MQTTMessage) -> None:
        if message.topic.startswith("edge-worker/"):
            self._command(client, message)
            return
        self.requests.append(message)
        self.patience -= 1
        if self.patience < 0:
            return
        if self.answer == "labels":
            self._reply(message, "colormap", PNG)
            if b"overlay" in str(message.properties).encode():
                self._reply(message, "overlay", b"\xff\xd8\xff-overlay")
            self._reply(message, "labels", labels_of("web", "1").to_json())
        elif self.answer != "nothing":
            error = {"schema": "edge-worker.error/1", "node": self.node, "camera": "web", "frame_id": "1"}
            times = {"received_at": "2026-01-01T00:00:00.000Z", "published_at": "2026-01-01T00:00:00.000Z"}
            text = json.dumps({**error, **times, "reason": self.answer, "detail": "so it is"})
            self._reply(message, "error", text.encode())

    def _reply(self, request: paho.MQTTMessage, kind: str, payload: bytes) -> None:
        asked: Any = request.properties
        properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
        properties.CorrelationData = asked.CorrelationData
        properties.UserProperty = [("kind", kind)]
        self._client.publish(asked.ResponseTopic, payload, 1, properties=properties)

    def _command(self, client: paho.Client, message: paho.MQTTMessage) -> None:
        command, asked = message.topic.rpartition("/")[2], json.loads(message.payload)
        response = {"schema": "edge-worker.response/1", "node": self.node, "command": command, "status": "ok"}
        facts = {"transaction": asked.pop("transaction"), "data": asked, "published_at": "2026-01-01T00:00:00.000Z"}
        client.publish(f"edge-worker/{self.node}/response/{command}", json.dumps({**response, **facts}), 1)

    def __exit__(self, *_: object) -> None:
        disconnect(self._client)


@dataclass(frozen=True)
class Stack:
    """The processes of a test module."""

    broker: Mosquitto
    gateway: GatewayProcess
    worker: FakeWorker


def form(boundary: str = "b", images: Sequence[bytes] = (), **parts: bytes) -> tuple[bytes, str]:
    """Return a multipart form of *images* and other *parts*, and its content type."""
    head = '--{}\r\nContent-Disposition: form-data; name="{}"; filename="f"\r\n\r\n'
    named = [*(("image", image) for image in images), *parts.items()]
    body = b"".join(head.format(boundary, name).encode() + content + b"\r\n" for name, content in named)
    return body + f"--{boundary}--\r\n".encode(), f"multipart/form-data; boundary={boundary}"


def seconds_of(act: Any) -> float:  # noqa: ANN401 - any callable
    """Return the duration of *act*."""
    began = time.monotonic()
    act()
    return time.monotonic() - began
