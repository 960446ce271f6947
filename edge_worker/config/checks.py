"""Checks that need more than one key: contradictions, missing files, CPUs that cannot be used."""

from __future__ import annotations

import os
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING

from edge_worker.common.errors import ConfigError
from edge_worker.common.platforms import available_cpus
from edge_worker.config.credentials import read_password
from edge_worker.config.mqtt import MqttConfig, TlsConfig, is_host, is_loopback
from edge_worker.config.sections import BUILTIN, BUILTIN_MODELS, Config, model_directory
from edge_worker.config.split import check_split
from edge_worker.config.tree import Location, Problem

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from edge_worker.config.fields import Section
    from edge_worker.config.gateway import GatewayConfig

MAX_SOCKET_PATH = 107  # bytes in sockaddr_un on Linux
QUANTISED_NETWORK = "model-int8.xml"  # as in m2fp.directory, which the worker process does not import


def check(config: Config, environ: Mapping[str, str], *, runs_model: bool) -> Iterator[Problem]:
    """Yield what is wrong with *config* as a whole. Looks at files and reads passwords; does not use the network.

    Unless *runs_model*, neither the model's files nor the CPUs for it are checked.

    Paths are checked with ``os.access`` first, because ``is_file`` raises if a directory above is not accessible.
    """
    yield from _host(config.mqtt)
    yield from _client_id(config)
    yield from _login(config.mqtt, environ)
    if config.mqtt.tls is not None:
        yield from [*_tls_files(config.mqtt.tls)] or _tls(config.mqtt.tls)
    if config.mqtt.reconnect.min_s > config.mqtt.reconnect.max_s:
        yield Problem(("mqtt", "reconnect", "min_s"), "should not be more than max_s")
    for index in range(len(config.cameras)):
        yield from _camera(config, index)
        yield from _share_group(config, index)
        yield from _requests(config, index)
        yield from check_split(config, index)
    if runs_model:
        yield from _model(config)
        yield from _precision(config)
        yield from _cpus(config)
    if config.ops.http is not None and not is_host(config.ops.http.host):
        yield Problem(("ops", "http", "host"), "should be a host name or an address of this machine")
    yield from _home_assistant(config)
    yield from _gateway(config.gateway)


def _share_group(config: Config, index: int) -> Iterator[Problem]:
    if config.cameras[index].share_group is not None and config.mqtt.protocol == "3.1.1":
        problem = "needs MQTT 5, whose brokers say whether they have shared subscriptions: mqtt.protocol auto or 5"
        yield Problem(("cameras", index, "share_group"), problem)


def _requests(config: Config, index: int) -> Iterator[Problem]:
    camera, place = config.cameras[index], ("cameras", index, "reply_prefix")
    if camera.reply_prefix is None:
        return
    if not camera.reply_prefix.endswith("/"):
        yield Problem(place, "should end with /, or it allows more than it says")
    if camera.delivery != "every":
        yield Problem(place, "needs delivery: every, or a newer request takes the place of one that waits")
    if config.mqtt.protocol == "3.1.1":
        yield Problem(place, "needs MQTT 5, whose messages name a Response Topic: mqtt.protocol auto or 5")


def _home_assistant(config: Config) -> Iterator[Problem]:
    if config.integrations.home_assistant.enabled and not config.node.retain:
        problem = "needs a broker with retained messages: set node.retain: true"
        yield Problem(("integrations", "home_assistant", "enabled"), problem)


def _gateway(gateway: GatewayConfig) -> Iterator[Problem]:
    secrets = {"token_file": gateway.token_file, "proxy_secret_file": gateway.proxy_secret_file}
    if not is_loopback(gateway.host) and not any(secrets.values()):
        problem = "is open to the network: set gateway.token_file, or gateway.proxy_secret_file behind a proxy"
        yield Problem(("gateway", "host"), problem)
    for name, file in secrets.items():
        if file is not None and not (os.access(file, os.R_OK) and file.is_file()):
            yield Problem(("gateway", name), f"no readable file: {file}")


def _host(mqtt: MqttConfig) -> Iterator[Problem]:
    place = ("mqtt", "host")
    if mqtt.transport != "unix":
        if mqtt.host.startswith("[") and is_host(mqtt.host.strip("[]")):
            yield Problem(place, f"should be without brackets: {mqtt.host.strip('[]')}")
        elif not is_host(mqtt.host):
            yield Problem(place, "should be a host name or an address alone, without mqtt://, user, port or path")
    elif not mqtt.host.startswith("/") or len(mqtt.host.encode()) > MAX_SOCKET_PATH:
        yield Problem(place, f"should be the socket's absolute path, of at most {MAX_SOCKET_PATH} bytes")
    elif mqtt.tls is not None:
        yield Problem(("mqtt", "tls"), "does not work over a unix socket: delete one of the two")


def _client_id(config: Config) -> Iterator[Problem]:
    if {"{", "}"} & set(config.client_id):
        yield Problem(("mqtt", "client_id"), "may hold only the placeholder {node}")


def _login(mqtt: MqttConfig, environ: Mapping[str, str]) -> Iterator[Problem]:
    try:
        password = read_password(mqtt, environ)
    except ConfigError as error:
        yield Problem(tuple(error.key.split(".")), error.problem)
        return
    if password is None:
        return
    if mqtt.username is None:
        yield Problem(("mqtt", "username"), "is required where a password is given")
    if mqtt.tls is None and not mqtt.is_local and not mqtt.allow_plaintext:
        yield Problem(
            ("mqtt", "tls"),
            f"is required: the password would cross the network to {mqtt.host} unencrypted "
            "(tls: {} trusts the system's CAs; allow_plaintext: true accepts the risk)",
        )


def _tls_files(tls: TlsConfig) -> Iterator[Problem]:
    place = ("mqtt", "tls")
    for name in ("ca_file", "cert_file", "key_file"):
        file: Path | None = getattr(tls, name)
        if file is not None and not (os.access(file, os.R_OK) and file.is_file()):
            yield Problem((*place, name), f"no readable file: {file}")
    if (tls.cert_file is None) != (tls.key_file is None):
        missing = "key_file" if tls.key_file is None else "cert_file"
        yield Problem((*place, missing), "is required: cert_file and key_file go together")
    if tls.key_password_file is not None and tls.key_file is None:
        yield Problem((*place, "key_password_file"), "is of no use without key_file")


def _tls(tls: TlsConfig) -> Iterator[Problem]:
    from edge_worker.config.tls_context import make_context  # noqa: PLC0415 - it reads passwords with this package

    try:
        make_context(tls)
    except ConfigError as error:
        yield Problem(tuple(error.key.split(".")), error.problem)


def _camera(config: Config, index: int) -> Iterator[Problem]:
    camera, place = config.cameras[index], ("cameras", index)
    if camera.delivery == "every" and camera.qos != 1:
        yield Problem((*place, "qos"), "should be 1 with delivery: every, or the broker keeps no frame for us")
    if camera.delivery == "latest" and camera.prefetch != 1:
        yield Problem((*place, "prefetch"), "works only with delivery: every; with latest, one frame per camera waits")
    yield from _results(config, index)


def _results(config: Config, index: int) -> Iterator[Problem]:
    camera = config.cameras[index]
    results = config.outputs_for(camera).all_results()
    for name, result in results.items():
        if camera.delivery == "every" and result.qos != 1:
            place = place_of(config, index, name, "qos")
            yield Problem(place, "should be 1 with delivery: every, or results can be lost")
    for (name, one), (other, two) in combinations(results.items(), 2):
        if one.topic == two.topic:
            blamed, kept = (other, name) if _is_written(config, index, other, "topic") else (name, other)
            place = place_of(config, index, blamed, "topic")
            yield Problem(place, f"is the topic of {kept}, too: each result needs its own")


def place_of(config: Config, index: int, result: str, key: str) -> Location:
    """Return the location from which *key* of *result* gets its value, for the camera section at *index*."""
    own: Section = getattr(config.cameras[index].outputs, result)
    return ("cameras", index, "outputs", result, key) if key in own.model_fields_set else ("output", result, key)


def _is_written(config: Config, index: int, result: str, key: str) -> bool:
    """Whether that value was configured, so that an error can point to it, rather than left at its default."""
    sections: tuple[Section, ...] = tuple(
        getattr(outputs, result) for outputs in (config.cameras[index].outputs, config.output)
    )
    return any(key in section.model_fields_set for section in sections)


def _model(config: Config) -> Iterator[Problem]:
    path = config.model.path
    known = sorted(f"{BUILTIN}{file.parent.name}" for file in BUILTIN_MODELS.glob("*/manifest.json"))
    if path not in known if path.startswith(BUILTIN) else not _is_readable_directory(Path(path)):
        problem = f"no readable model directory: {path}; models that come with the package: {', '.join(known)}"
        yield Problem(("model", "path"), problem)


def _precision(config: Config) -> Iterator[Problem]:
    """A quantised precision needs a quantised network; without one, no model process would ever be ready."""
    path = config.model.path
    place = model_directory(path)
    exported = os.access(place / "manifest.json", os.R_OK)
    if config.model.precision.startswith("int8") and exported and not (place / QUANTISED_NETWORK).exists():
        problem = (
            f"{path} holds no quantised network: another precision, or"
            f" `edge-worker model export {path} --precision int8 --calibrate IMAGES`"
        )
        yield Problem(("model", "precision"), problem)


def _is_readable_directory(path: Path) -> bool:
    return os.access(path, os.R_OK | os.X_OK) and path.is_dir()


def _cpus(config: Config) -> Iterator[Problem]:
    place, wanted = ("threads", "cpus"), config.threads.cpus or ()
    count, usable = os.cpu_count() or 1, list(available_cpus())
    if missing := [cpu for cpu in wanted if cpu >= count]:
        yield Problem(place, f"this machine has no CPU {_listed(missing)}: they are 0 to {count - 1}")
    elif denied := [cpu for cpu in wanted if cpu not in usable]:
        cause = "AllowedCPUs= of the unit, cpuset of the container"
        yield Problem(place, f"this process may not use CPU {_listed(denied)}, only {_listed(usable)} ({cause})")
    if len(set(wanted)) < len(wanted):
        yield Problem(place, "names a CPU twice")


def _listed(numbers: list[int]) -> str:
    return ", ".join(map(str, numbers))
