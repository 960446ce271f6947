"""Passwords: read from files, systemd credentials or the environment when needed, and not kept."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from edge_worker.common.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from edge_worker.config.mqtt import MqttConfig

PASSWORD_VARIABLE = "EDGE_WORKER_MQTT_PASSWORD"  # noqa: S105 - a name, not a password
CREDENTIAL = "mqtt-password"
MAX_PASSWORD_BYTES = 65_535  # MQTT's limit
_OTHERS_MAY_READ = 0o077


def read_password(mqtt: MqttConfig, environ: Mapping[str, str]) -> str | None:
    """Return the broker's password; None if there is none.

    The first of these that exists: ``mqtt.password_file``, the systemd credential ``mqtt-password``, the variable
    ``EDGE_WORKER_MQTT_PASSWORD``. Read at each call, so that the next connection uses a changed file.

    Raises:
        ConfigError: a file is configured or found, but cannot be read, is empty or is not UTF-8.
    """
    file = mqtt.password_file or _credential(environ)
    if file is not None:
        return read_secret(file, "mqtt.password_file")
    return environ.get(PASSWORD_VARIABLE) or None


def password_source(mqtt: MqttConfig, environ: Mapping[str, str]) -> str:
    """Return the file or the variable that :func:`read_password` reads the password from; empty if there is none."""
    file = mqtt.password_file or _credential(environ)
    if file is not None:
        return str(file)
    return f"${PASSWORD_VARIABLE}" if environ.get(PASSWORD_VARIABLE) else ""


def read_secret(file: Path, key: str) -> str:
    """Return the text of *file*, configured by *key*, without a final line end. Errors do not quote its content.

    Raises:
        ConfigError: the file cannot be read, is empty or too long, or is not UTF-8.
    """
    try:
        with file.open("rb") as stream:
            secret = stream.read(MAX_PASSWORD_BYTES + 1).decode()
    except OSError as error:
        raise ConfigError(f"the file {file} cannot be read: {error.strerror}", key=key) from error
    except UnicodeDecodeError:
        raise ConfigError(f"the file {file} does not hold text in UTF-8", key=key) from None
    secret = secret.removesuffix("\n").removesuffix("\r")
    if not secret or len(secret) > MAX_PASSWORD_BYTES:
        raise ConfigError(f"the file {file} is empty, or too long for a password", key=key)
    return secret


def exposed_secrets(mqtt: MqttConfig, environ: Mapping[str, str]) -> list[str]:
    """Return the keys of secret files that others than their owner may read.

    systemd's credentials are excepted: from 254 on, the access list that lets only the service read them looks like
    permissions of their group.
    """
    safe = environ.get("CREDENTIALS_DIRECTORY")
    files = {key: file for key, file in _secret_files(mqtt).items() if not safe or not file.is_relative_to(safe)}
    return [key for key, file in files.items() if file.stat().st_mode & _OTHERS_MAY_READ]


def secret_paths(mqtt: MqttConfig, environ: Mapping[str, str]) -> tuple[Path, ...]:
    """Return the paths of this worker's secrets: the configured files, and systemd's directory of credentials."""
    folder = environ.get("CREDENTIALS_DIRECTORY")
    return (*_secret_files(mqtt).values(), *([Path(folder)] if folder else []))


def _secret_files(mqtt: MqttConfig) -> dict[str, Path]:
    """Return the configured files that contain secrets, by their keys."""
    named = {"mqtt.password_file": mqtt.password_file}
    if mqtt.tls is not None:
        named |= {
            "mqtt.tls.key_file": mqtt.tls.key_file,
            "mqtt.tls.key_password_file": mqtt.tls.key_password_file,
        }
    return {key: file for key, file in named.items() if file is not None}


def _credential(environ: Mapping[str, str]) -> Path | None:
    folder = environ.get("CREDENTIALS_DIRECTORY")
    # systemd creates the directory even if it found no credential, and then nobody may enter it.
    if not folder or not os.access(folder, os.X_OK):
        return None
    file = Path(folder, CREDENTIAL)
    return file if file.exists() else None
