"""Latency added by the gateway: the same worker parses the same image, requested over MQTT and HTTP in turn.

The worker answers from its cache, so that the network's variance does not hide a few milliseconds.
"""

from __future__ import annotations

import http.client
import secrets
import time
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

import yaml

from edge_worker.common.errors import EdgeWorkerError
from edge_worker.config import load
from edge_worker.mqtt.message import Outgoing, Subscription
from edge_worker.tools.bench.statistics import Summary
from edge_worker.tools.client import Client
from edge_worker.tools.demo.children import Children
from edge_worker.tools.demo.web import SECTIONS, start_broker, start_gateway

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from edge_worker.config import Config

_REPLIES: Final = "replies/benchmark"
_ANSWER_S: Final = 60.0
_PER_TURN: Final = 20  # requests of each kind
_NO_LIMIT: Final = 1_000_000  # requests per minute


def measure(model: str, frame: Path, turns: int, scratch: Path) -> list[dict[str, Any]]:
    """Return one row: milliseconds for *frame* over both, the difference of the medians, and the gateway's memory.

    Raises:
        EdgeWorkerError: mosquitto is not installed, or a process did not start.
    """
    payload = frame.read_bytes()
    with Children(scratch) as children:
        config, address = start(children, model, scratch)
        with Client(config, role="benchmark", subscriptions=(Subscription(_REPLIES, 1),), quiet=True) as client:
            client.wait_subscribed(_ANSWER_S)
            straight, through = _in_turns(
                lambda: _over_mqtt(client, payload), lambda: _over_http(address, payload), turns
            )
        memory_mb = _resident_mb(address)
    return [
        {
            "frame": frame.name,
            "over MQTT, ms": asdict(straight),
            "through the gateway, ms": asdict(through),
            "added at the median, ms": through.median - straight.median,
            "gateway's memory, MB": memory_mb,
        }
    ]


def start(children: Children, model: str, scratch: Path) -> tuple[Config, str]:
    """Start broker, worker and gateway; returns their configuration and the gateway's address.

    Raises:
        EdgeWorkerError: mosquitto is not installed, or a process does not start.
    """
    config, file = _configured(start_broker(children, scratch), model, scratch)
    children.start("worker", "edge_worker", "run", "-c", str(file))
    return config, start_gateway(children, file)


def _configured(port: int, model: str, scratch: Path) -> tuple[Config, Path]:
    settings = {
        "node": {"id": "benchmark"},
        "mqtt": {"host": "127.0.0.1", "port": port},
        "model": {"path": model},
        "gateway": {"requests_per_minute": _NO_LIMIT},
        **SECTIONS,
    }
    file = scratch / "gateway.yaml"
    file.write_text(yaml.safe_dump(settings), encoding="utf-8")
    return load(file, {}), file


def _in_turns(one: Callable[[], float], other: Callable[[], float], turns: int) -> tuple[Summary, Summary]:
    one(), other()  # the first answers are not from the cache
    times = [(one(), other()) for _ in range(turns * _PER_TURN)]
    return Summary.of([first for first, _ in times]), Summary.of([second for _, second in times])


def _over_mqtt(client: Client, payload: bytes) -> float:
    """Request *payload* as the gateway does; returns milliseconds until the labels arrive."""
    key = secrets.token_bytes(16)
    request = Outgoing(
        topic="requests/benchmark/frame",
        payload=payload,
        content_type="image/jpeg",
        properties={"frame-id": key.hex(), "outputs": "colormap", "masks": "none"},
        response_topic=_REPLIES,
        correlation=key,
        expiry_s=int(_ANSWER_S),
    )
    began = time.perf_counter()
    client.publish(request)
    for message in client.messages(_ANSWER_S):
        if message.correlation == key and message.properties.get("kind") == "labels":
            return 1000 * (time.perf_counter() - began)
    raise EdgeWorkerError("the worker did not answer")


def _over_http(address: str, payload: bytes) -> float:
    """Request *payload* over a new HTTP connection; returns milliseconds until labels and map arrive."""
    connection = http.client.HTTPConnection(urlsplit(address).netloc, timeout=_ANSWER_S)
    began = time.perf_counter()
    connection.request("POST", "/api/v1/parse", payload, {"Content-Type": "image/jpeg"})
    response = connection.getresponse()
    response.read()
    took = 1000 * (time.perf_counter() - began)
    connection.close()
    if response.status != http.client.OK:
        raise EdgeWorkerError(f"the gateway answered {response.status}")
    return took


def _resident_mb(address: str) -> float:
    connection = http.client.HTTPConnection(urlsplit(address).netloc, timeout=_ANSWER_S)
    connection.request("GET", "/metrics")
    lines = connection.getresponse().read().decode().splitlines()
    connection.close()
    return float(next(line for line in lines if line.startswith("process_resident_memory_bytes ")).split()[1]) / 1e6
