"""Loading as a whole: file and environment in, a configuration or a helpful error out."""

import traceback
from pathlib import Path

import pytest

from edge_worker.common.errors import ConfigError
from edge_worker.config import CameraConfig, Config, MqttConfig, OutputConfig, find_config, load
from edge_worker.config.sections import host_name

LOCAL = "mqtt: {host: localhost}\n"


def _file(folder: Path, content: str) -> Path:
    file = folder / "c.yaml"
    file.write_text(content, encoding="utf-8")
    return file


def _load(folder: Path, content: str, **environ: str) -> Config:
    return load(_file(folder, content), environ)


def _errors(folder: Path, content: str, **environ: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        _load(folder, content, **environ)
    return [line.replace(f"{folder}/", "") for line in str(caught.value).splitlines()]


def test_the_broker_is_the_only_thing_required(tmp_path: Path) -> None:
    """One line is a complete configuration; all else has a default."""
    assert _load(tmp_path, LOCAL) == Config(mqtt=MqttConfig(host="localhost"))


def test_a_missing_broker_is_told_with_both_ways_to_give_it(tmp_path: Path) -> None:
    """The first error of a new user says what to write, and where."""
    (error,) = _errors(tmp_path, "")
    assert error == "c.yaml: mqtt.host: is required: write it into the file, or set EDGE_WORKER__MQTT__HOST"
    with pytest.raises(ConfigError, match=r"^no configuration file \(name one with -c; .*\): mqtt\.host: is required"):
        load(None, {})


def test_all_problems_are_told_at_once_in_the_order_of_the_lines(tmp_path: Path) -> None:
    """A file is mended in one go: each problem has its own FILE:LINE: key: text."""
    content = """\
limits: {max_pixel: 3}
mqtt:
  host: localhost
  port: "1883"
  keepalive_s: off
cameras:
  - topic: a/b
    outputs: {overlay: {enabled: yes}}
"""
    assert _errors(tmp_path, content) == [
        "c.yaml:1: limits.max_pixel: unknown key: did you mean max_pixels?",
        'c.yaml:4: mqtt.port: should be a whole number, not "1883"',
        'c.yaml:5: mqtt.keepalive_s: should be a whole number, not "off"',
        "c.yaml:7: cameras[0].topic: should hold {camera} once, as a level of its own",
        'c.yaml:8: cameras[0].outputs.overlay.enabled: should be true or false, not "yes"',
    ]


@pytest.mark.parametrize(
    ("line", "error"),
    [
        ("threads: {opencvv: 1}", "threads.opencvv: unknown key: did you mean opencv?"),
        ("xyz: 1", "xyz: unknown key: known here are cache, cameras, commands, gateway, integrations, limits"),
        (
            "cameras: [{outputs: {labels: {mask: rle}}}]",
            "cameras[0].outputs.labels.mask: unknown key: did you mean masks",
        ),
        ("mqtt: {host: h, tls: {cafile: x}}", "mqtt.tls.cafile: unknown key: did you mean ca_file?"),
        ("ops: {http: {prt: 1}}", "ops.http.prt: unknown key: did you mean port?"),
        (
            "model: {engine: tensorrt}",
            "model.engine: should be 'auto', 'openvino', 'onnxruntime', 'torch' or 'modelscope'",
        ),
        ("model: 5", "model: should be a section"),
        ("cameras: {topic: x}", "cameras: should be a list"),
        ("cameras: []", "cameras: should have at least one entry"),
        ("palette: [red]", "palette: should be a section"),
        ("palette: {Hat: red}", 'palette.Hat: should be a colour such as "#ff8000"'),
        ("threads: {inference: 0}", "threads.inference: should be auto or a whole number from 1"),
        ("threads: {inference: true}", "threads.inference: should be auto or a whole number from 1"),
        ("output: {labels: {qos: 2}}", "output.labels.qos: should be 0 or 1, not 2"),
        ("output: {labels: {qos: true}}", "output.labels.qos: should be a number"),
        ("output: {overlay: {alpha: 1.5}}", "output.overlay.alpha: should be less than or equal to 1, not 1.5"),
        ("cache: {max_mb: 1e999}", "cache.max_mb: should be a finite number"),
        ("node: {id: a/b}", "node.id: should be 1 to 64 letters, digits, '.', '_' or '-'"),
        (
            "cameras: [{share_group: a/b}]",
            "cameras[0].share_group: should be 1 to 64 characters without spaces",
        ),
        ("node: {id: 5}", "node.id: should be text (in quotes, where it looks like something else), not 5"),
    ],
)
def test_a_wrong_key_or_value_is_told_with_what_would_be_right(tmp_path: Path, line: str, error: str) -> None:
    """Errors name the key, and the nearest name or what kind of value belongs there."""
    other = "" if line.startswith("mqtt") else LOCAL
    (message,) = _errors(tmp_path, f"{other}{line}\n")
    assert message.startswith(f"c.yaml:{2 if other else 1}: {error}")


def test_a_blank_broker_is_told_once(tmp_path: Path) -> None:
    """A key without a value is one problem, not two."""
    (error,) = _errors(tmp_path, "mqtt:\n  host:\n")
    assert error.startswith("c.yaml:2: mqtt.host: has no value")


def test_a_password_in_the_file_is_refused_and_never_repeated(tmp_path: Path) -> None:
    """A plain password is answered with where it belongs; not even a traceback shows it."""
    with pytest.raises(ConfigError, match="password_file") as caught:
        load(_file(tmp_path, "mqtt: {host: h, username: u, password: " + "geheim"[::-1] + ", port: x}\n"), {})
    assert "geheim"[::-1] not in "".join(traceback.format_exception(caught.value))


def test_numbers_that_were_meant_as_text_are_taken(tmp_path: Path) -> None:
    """``protocol: 5`` and ``min_version: 1.2`` need no quotes."""
    mqtt = _load(tmp_path, "mqtt: {host: localhost, protocol: 5, tls: {min_version: 1.3}}\n").mqtt
    assert (mqtt.protocol, mqtt.tls and mqtt.tls.min_version) == ("5", "1.3")
    assert _load(tmp_path, "mqtt: {host: localhost, protocol: 3.1.1}\n").mqtt.protocol == "3.1.1"


@pytest.mark.parametrize(
    ("keys", "port"),
    [("", 1883), (", tls: {}", 8883), (", tls: {}, port: 1", 1), (", port: null", 1883), (", tls: null", 1883)],
)
def test_the_port_follows_from_tls_unless_given(tmp_path: Path, keys: str, port: int) -> None:
    """1883 in the clear, 8883 with TLS."""
    assert _load(tmp_path, f"mqtt: {{host: localhost{keys}}}\n").mqtt.port == port


def test_every_brings_its_own_defaults() -> None:
    """A camera that says only ``delivery: every`` gets QoS 1 and no age limit."""
    camera = CameraConfig(delivery="every")
    assert (camera.qos, camera.max_age_s) == (1, None)


def test_the_node_is_named_after_the_host(tmp_path: Path) -> None:
    """No id, or null, is the host's name; it makes the client id."""
    for content in (LOCAL, LOCAL + "node: {id: null}\n"):
        config = _load(tmp_path, content)
        assert config.node.id == host_name()
        assert config.client_id == f"edge-worker-{host_name()}"


def test_a_host_name_becomes_a_topic_level(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the host is called, the default id is valid."""
    for name, level in (
        ("edge 1/#", "edge-1"),
        ("", "node"),
        ("/", "node"),
        ("x" * 80, "x" * 64),
        ("a.b_c-d", "a.b_c-d"),
    ):
        monkeypatch.setattr("platform.node", lambda name=name: name)
        assert host_name() == level
        assert Config(mqtt=MqttConfig(host="h")).node.id == level


def test_a_camera_overrides_only_what_it_says() -> None:
    """The outputs of a camera are those of ``output`` with its own keys on top, even where these equal a default."""
    config = Config(
        mqtt=MqttConfig(host="localhost"),
        output=OutputConfig.model_validate({"overlay": {"enabled": True, "alpha": 0.3}, "result_expiry_s": 5}),
        cameras=(
            CameraConfig.model_validate({"outputs": {"overlay": {"enabled": False}, "labels": {"masks": "rle"}}}),
        ),
    )
    outputs = config.outputs_for(config.cameras[0])
    assert (outputs.overlay.enabled, outputs.overlay.alpha, outputs.result_expiry_s) == (False, 0.3, 5)
    assert (outputs.labels.masks, outputs.labels.enabled) == ("rle", True)


def test_relative_paths_are_seen_from_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A configuration may be moved with the files beside it; where the worker is started does not matter."""
    (tmp_path / "conf").mkdir()
    (tmp_path / "conf" / "secret").write_text("geheim")
    (tmp_path / "conf" / "net").mkdir()
    monkeypatch.chdir(tmp_path)
    content = "mqtt: {host: localhost, username: u, password_file: secret}\nmodel: {path: net}\n"
    Path("conf/c.yaml").write_text(content, encoding="utf-8")
    config = load(Path("conf/c.yaml"), {})
    assert config.mqtt.password_file == tmp_path / "conf" / "secret"
    assert config.model.path == str(tmp_path / "conf" / "net")


def test_the_configuration_can_be_printed_as_json(tmp_path: Path) -> None:
    """``masked`` gives plain values that make the same configuration again."""
    config = _load(tmp_path, LOCAL + "threads: {cpus: [0]}\ncameras: [{outputs: {overlay: {enabled: true}}}]\n")
    values = config.masked()
    assert values["cameras"][0]["outputs"] == {"overlay": {"enabled": True}}  # type: ignore[index,call-overload]
    assert Config.model_validate_json(config.model_dump_json()) == config


def test_the_file_is_searched_for_in_the_documented_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """-c, then EDGE_WORKER_CONFIG, then the usual places; a named file is taken at its word."""
    usual = (tmp_path / "etc.yaml", tmp_path / "here.yaml")
    monkeypatch.setattr("edge_worker.config.loading.USUAL_FILES", usual)
    environ = {"EDGE_WORKER_CONFIG": "env.yaml"}
    assert find_config("arg.yaml", environ) == Path("arg.yaml")
    assert find_config(None, environ) == Path("env.yaml")
    assert find_config(None, {}) is None
    usual[1].touch()
    assert find_config(None, {"EDGE_WORKER_CONFIG": ""}) == usual[1]
    usual[0].touch()
    assert find_config(None, {}) == usual[0]


def test_all_problems_of_a_file_are_told_at_once(tmp_path: Path) -> None:
    """Those of single keys, and those that only several keys, files or the machine tell: nobody corrects in stages."""
    text = """\
mqtt: {host: mqtt://broker, password_file: missing, tls: {ca_file: missing.pem}}
cameras:
  - topic: cameras/+/frame
  - {topic: "a/{camera}/frame", delivery: every, qos: 0}
model: {path: missing}
threads: {cpus: [9999]}
"""
    with pytest.raises(ConfigError) as caught:
        _load(tmp_path, text)
    keys = [line.split(": ")[1] for line in str(caught.value).splitlines()]
    assert sorted(keys) == [
        "cameras[0].topic",
        "cameras[1].qos",
        "model.path",
        "mqtt.host",
        "mqtt.password_file",
        "mqtt.tls.ca_file",
        "threads.cpus",
    ]
