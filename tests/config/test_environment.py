"""Settings from the environment."""

from pathlib import Path

import pytest

from edge_worker.common.errors import ConfigError
from edge_worker.config import load

HOST = {"EDGE_WORKER__MQTT__HOST": "localhost"}


def test_variables_win_over_the_file(tmp_path: Path) -> None:
    """A variable replaces the file's value and leaves its neighbours."""
    file = tmp_path / "c.yaml"
    file.write_text("mqtt: {host: a, keepalive_s: 20}\n", encoding="utf-8")
    mqtt = load(file, {"EDGE_WORKER__MQTT__HOST": "b"}).mqtt
    assert (mqtt.host, mqtt.keepalive_s) == ("b", 20)


def test_variables_alone_are_enough() -> None:
    """A container needs no file: values are YAML, lists and sections in its flow form."""
    config = load(
        None,
        {
            **HOST,
            "EDGE_WORKER__CAMERAS": '[{topic: "door/{camera}", delivery: every}]',
            "EDGE_WORKER__LIMITS__FORMATS": "[jpeg]",
            "EDGE_WORKER__OPS__HTTP": "{}",
            "EDGE_WORKER__OPS__HTTP__PORT": "9000",
            "EDGE_WORKER__PALETTE": '{Hat: "#FF8000"}',
            "EDGE_WORKER__OUTPUT__OVERLAY__ENABLED": "true",
        },
    )
    assert config.cameras[0].delivery == "every"
    assert config.limits.formats == ("jpeg",)
    assert config.ops.http is not None
    assert (config.ops.http.host, config.ops.http.port) == ("127.0.0.1", 9000)
    assert config.palette == {"Hat": "#ff8000"}
    assert config.output.overlay.enabled


def test_a_variable_opens_a_section_that_the_file_turned_off(tmp_path: Path) -> None:
    """``tls: null`` in the file does not stand in the way of EDGE_WORKER__MQTT__TLS__MIN_VERSION."""
    file = tmp_path / "c.yaml"
    file.write_text("mqtt: {host: a, tls: null}\n", encoding="utf-8")
    mqtt = load(file, {"EDGE_WORKER__MQTT__TLS__MIN_VERSION": "1.3"}).mqtt
    assert mqtt.tls is not None
    assert (mqtt.tls.min_version, mqtt.port) == ("1.3", 8883)


@pytest.mark.parametrize(
    ("name", "value", "error"),
    [
        ("EDGE_WORKER__MQTT__PORT", "'5'", 'mqtt.port: should be a whole number, not "5"'),
        ("EDGE_WORKER__MQTT__PROT", "5", "mqtt.prot: unknown key: did you mean port?"),
        ("EDGE_WORKER__MQT__PORT", "5", "mqt: unknown key: did you mean mqtt?"),
        ("EDGE_WORKER__MQTT__USERNAME", "", "mqtt.username: has no value"),
        ("EDGE_WORKER__CAMERAS", "[{topic: a}]", "cameras[0].topic: should hold {camera} once"),
        ("EDGE_WORKER__CAMERAS", "[{topic: a/{camera}}]", "is not YAML"),
        (
            "EDGE_WORKER__LIMITS__MAX_PIXELS__X",
            "1",
            "limits.max_pixels.x: limits.max_pixels is no section: set it as a whole",
        ),
        ("EDGE_WORKER__PALETTE__HAT", "red", "palette.hat: set the palette as a whole: EDGE_WORKER__PALETTE="),
        ("EDGE_WORKER__", "1", "unknown key"),
        ("EDGE_WORKER__MQTT__PASSWORD", "geheim", "mqtt.password: a password does not belong in the configuration"),
    ],
)
def test_a_wrong_variable_is_named(tmp_path: Path, name: str, value: str, error: str) -> None:
    """An error caused by a variable names it in place of the file, and never shows a password."""
    file = tmp_path / "c.yaml"
    file.write_text("mqtt: {host: localhost}\ncameras: [{topic: 'x/{camera}'}]\nlimits: {max_pixels: 5}\n", "utf-8")
    with pytest.raises(ConfigError) as caught:
        load(file, {name: value})
    assert str(caught.value).startswith(f"{name}:")
    assert error in str(caught.value)
    assert "geheim" not in str(caught.value)


def test_other_variables_are_left_alone() -> None:
    """Names with a single underscore are no overrides."""
    load(None, {**HOST, "EDGE_WORKER_CONFIG": "x", "EDGE_WORKER_MQTT_PASSWORD": "", "PATH": "/bin"})
