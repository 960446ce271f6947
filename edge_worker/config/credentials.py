"""Passwords: read from files, systemd credentials or the environment when they are needed, and kept nowhere."""

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
MAX_PASSWORD_BYTES = 65_535  # of a password in MQTT
_OTHERS_MAY_READ = 0o077


def read_password(mqtt: MqttConfig, environ: Mapping[str, str]) -> str | None:
    """Return the broker's password, or ``None`` where there is none.

    The first of these that exists: ``mqtt.password_file``, the systemd credential ``mqtt-password``, the variable
    ``EDGE_WORKER_MQTT_PASSWORD``. Read anew at each call, so that a changed file serves the next connection.

    Raises:
        ConfigError: a file is named or found, but cannot be read, is empty or is not UTF-8.
    """
    file = mqtt.password_file or _credential(environ)
    if file is not None:
        return read_secret(file, "mqtt.password_file")
    return environ.get(PASSWORD_VARIABLE) or None


def password_source(mqtt: MqttConfig, environ: Mapping[str, str]) -> str:
    """Name the file or the variable that :func:`read_password` takes the password from; empty where there is none."""
    file = mqtt.password_file or _credential(environ)
    if file is not None:
        return str(file)
    return f"${PASSWORD_VARIABLE}" if environ.get(PASSWORD_VARIABLE) else ""


def read_secret(file: Path, key: str) -> str:
    """Return the text of *file*, named by *key*, without the end of the line. No error quotes what is in it.

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
    """Return the keys that name a secret file which others than its owner may read.

    systemd's credentials are not among them: from 254 on the access list that lets only the service read them looks
    like rights of their group.
    """
    safe = environ.get("CREDENTIALS_DIRECTORY")
    files = {key: file for key, file in _secret_files(mqtt).items() if not safe or not file.is_relative_to(safe)}
    return [key for key, file in files.items() if file.stat().st_mode & _OTHERS_MAY_READ]


def secret_paths(mqtt: MqttConfig, environ: Mapping[str, str]) -> tuple[Path, ...]:
    """Return where secrets of this worker lie: the files that are named, and systemd's directory of credentials."""
    folder = environ.get("CREDENTIALS_DIRECTORY")
    return (*_secret_files(mqtt).values(), *([Path(folder)] if folder else []))


def _secret_files(mqtt: MqttConfig) -> dict[str, Path]:
    """The files that hold secrets, by the keys that name them."""
    named = {"mqtt.password_file": mqtt.password_file}
    if mqtt.tls is not None:
        named |= {
            "mqtt.tls.key_file": mqtt.tls.key_file,
            "mqtt.tls.key_password_file": mqtt.tls.key_password_file,
        }
    return {key: file for key, file in named.items() if file is not None}


def _credential(environ: Mapping[str, str]) -> Path | None:
    folder = environ.get("CREDENTIALS_DIRECTORY")
    # systemd makes the directory also where it found no credential, and then lets nobody look into it.
    if not folder or not os.access(folder, os.X_OK):
        return None
    file = Path(folder, CREDENTIAL)
    return file if file.exists() else None
