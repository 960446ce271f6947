"""Passwords: where they are found, and that they stay there."""

from pathlib import Path

import pytest

from edge_worker.common.errors import ConfigError
from edge_worker.config import Config, MqttConfig, read_password


def _secret(folder: Path, content: bytes, name: str = "secret") -> Path:
    file = folder / name
    file.write_bytes(content)
    return file


def test_the_file_comes_first_then_the_credential_then_the_variable(tmp_path: Path) -> None:
    """The documented order; nothing anywhere means no password."""
    file = _secret(tmp_path, b"from-file")
    _secret(tmp_path, b"from-systemd", "mqtt-password")
    environ = {"CREDENTIALS_DIRECTORY": str(tmp_path), "EDGE_WORKER_MQTT_PASSWORD": "from-variable"}
    assert read_password(MqttConfig(host="h", password_file=file), environ) == "from-file"
    assert read_password(MqttConfig(host="h"), environ) == "from-systemd"
    assert read_password(MqttConfig(host="h"), environ | {"CREDENTIALS_DIRECTORY": "/nowhere"}) == "from-variable"
    assert read_password(MqttConfig(host="h"), {"EDGE_WORKER_MQTT_PASSWORD": ""}) is None
    assert read_password(MqttConfig(host="h"), {}) is None


@pytest.mark.parametrize(
    ("content", "password"),
    [(b"a b\n", "a b"), (b"a\r\n", "a"), (b"a\n\n", "a\n"), ("ä\n".encode(), "ä"), (b" a", " a")],
)
def test_only_the_end_of_the_line_is_cut(tmp_path: Path, content: bytes, password: str) -> None:
    """Editors add one line end; everything else belongs to the password."""
    assert read_password(MqttConfig(host="h", password_file=_secret(tmp_path, content)), {}) == password


def test_the_file_is_read_anew_each_time(tmp_path: Path) -> None:
    """A password that was changed serves the next connection."""
    mqtt = MqttConfig(host="h", password_file=_secret(tmp_path, b"old"))
    assert read_password(mqtt, {}) == "old"
    _secret(tmp_path, b"new")
    assert read_password(mqtt, {}) == "new"


@pytest.mark.parametrize("content", [b"", b"\n", b"geheim\xff", b"x" * 70_000])
def test_an_unusable_file_is_told_without_its_content(tmp_path: Path, content: bytes) -> None:
    """Errors name the key, never what is in the file."""
    with pytest.raises(ConfigError) as caught:
        read_password(MqttConfig(host="h", password_file=_secret(tmp_path, content)), {})
    assert str(caught.value).startswith("mqtt.password_file: the file ")
    assert "geheim" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_a_printed_configuration_holds_no_password(tmp_path: Path) -> None:
    """``masked`` names the file and shows nothing of it."""
    mqtt = MqttConfig(host="h", username="u", password_file=_secret(tmp_path, b"geheim"))
    assert "geheim" not in repr(Config(mqtt=mqtt).masked())
    assert "geheim" not in repr(mqtt)
