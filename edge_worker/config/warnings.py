"""Warnings about settings that are valid but unwise."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edge_worker.config.credentials import exposed_secrets, read_password
from edge_worker.config.mqtt import is_loopback
from edge_worker.config.split import doubts

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from edge_worker.config.sections import Config


def warnings(config: Config, environ: Mapping[str, str]) -> tuple[str, ...]:
    """Return a line for each questionable setting of the valid *config*; each begins with its key."""
    return (*_secrecy(config, environ), *_traffic(config), *doubts(config))


def _secrecy(config: Config, environ: Mapping[str, str]) -> Iterator[str]:
    mqtt = config.mqtt
    for key in exposed_secrets(mqtt, environ):
        yield f"{key}: others may read the file: chmod 600, owned by the worker's user"
    if mqtt.tls is not None and not mqtt.tls.verify:
        yield "mqtt.tls.verify: is false: anyone on the way can read and alter everything, the password included"
    if mqtt.tls is None and not mqtt.is_local and read_password(mqtt, environ) is not None:
        yield "mqtt.allow_plaintext: is true: the password crosses the network unencrypted"
    if config.ops.http is not None and not is_loopback(config.ops.http.host):
        yield "ops.http.host: health and metrics are open to the network, without a login"


def _traffic(config: Config) -> Iterator[str]:
    if config.mqtt.transport == "websockets":
        yield "mqtt.transport: websockets cost about 70 ms of processor time per MB; prefer tcp where it can be reached"
    for index, camera in enumerate(config.cameras):
        if camera.prefetch > 1:
            yield f"cameras[{index}].prefetch: Mosquitto before 2.0.13 sends all it has; memory holds 64 MiB of it"
        if not config.outputs_for(camera).enabled():
            yield f"cameras[{index}].outputs: all are off: frames are parsed, but nothing is published"
