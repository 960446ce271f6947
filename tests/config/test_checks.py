"""Keys that contradict each other, topics that meet, files that are not there; and what is only doubtful."""

import os
import re
from pathlib import Path

import pytest

from edge_worker.common.errors import ConfigError
from edge_worker.config import Config, MqttConfig, load, warnings
from edge_worker.config.mqtt import is_host
from edge_worker.config.split import control_keepalive_s, moves_after_s


def _load(folder: Path, content: str, **environ: str) -> Config:
    file = folder / "c.yaml"
    file.write_text(content, encoding="utf-8")
    return load(file, environ)


def _errors(folder: Path, content: str, **environ: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        _load(folder, content, **environ)
    return [re.sub(r"^.*c\.yaml(:\d+)?: ", "", line) for line in str(caught.value).splitlines()]


EVERY = "mqtt: {host: localhost}\ncameras:\n  - delivery: every\n    "


@pytest.mark.parametrize(
    ("content", "error"),
    [
        ("mqtt: {host: 'mqtt://broker:1883'}", "mqtt.host: should be a host name or an address alone"),
        ("mqtt: {host: 'a..b'}", "mqtt.host: should be a host name"),
        ("mqtt: {host: broker, transport: unix}", "mqtt.host: should be the socket's absolute path"),
        ("mqtt: {host: /run/m, transport: unix, tls: {}}", "mqtt.tls: does not work over a unix socket"),
        ("mqtt: {host: h, client_id: '{camera}'}", "mqtt.client_id: may hold only the placeholder {node}"),
        ("mqtt: {host: h, reconnect: {min_s: 9, max_s: 3}}", "mqtt.reconnect.min_s: should not be more than max_s"),
        ("mqtt: {host: h, tls: {ca_file: no.pem}}", "mqtt.tls.ca_file: no readable file: "),
        ("mqtt: {host: h, tls: {ca_file: c.yaml}}", "mqtt.tls.ca_file: FOLDER/c.yaml is not usable"),
        ("mqtt: {host: h, tls: {cert_file: c.yaml, key_file: c.yaml}}", "mqtt.tls.cert_file: FOLDER/c.yaml is not"),
        ("mqtt: {host: h, tls: {cert_file: c.yaml}}", "mqtt.tls.key_file: is required: cert_file and key_file"),
        ("mqtt: {host: h, tls: {key_file: c.yaml}}", "mqtt.tls.cert_file: is required: cert_file and key_file"),
        ("mqtt: {host: h, tls: {key_password_file: c.yaml}}", "mqtt.tls.key_password_file: is of no use without"),
        ("mqtt: {host: h, username: u, password_file: no}", "mqtt.password_file: the file FOLDER/no cannot be read"),
        ("mqtt: {host: localhost, password_file: c.yaml}", "mqtt.username: is required where a password is given"),
        (
            "mqtt: {host: h}\nintegrations: {home_assistant: {prefix: 'home/#'}}",
            "integrations.home_assistant.prefix: ",
        ),
        (
            "mqtt: {host: h}\nintegrations: {home_assistant: {prefix: homeassistant/}}",
            "integrations.home_assistant.prefix: should not end with /",
        ),
        (
            "mqtt: {host: h}\nintegrations: {home_assistant: {enabled: true}}\nnode: {retain: false}",
            "integrations.home_assistant.enabled: needs a broker with retained messages",
        ),
        (
            "mqtt: {host: h}\nintegrations: {home_assistant: {enabled: true, prefix: parsing/door/error}}",
            "output.error.topic: is below integrations.home_assistant.prefix",
        ),
        ("mqtt: {host: h}\nmodel: {path: nowhere}", "model.path: no readable model directory: FOLDER/nowhere; models"),
        ("mqtt: {host: h}\nmodel: {path: 'builtin:x'}", "model.path: no readable model directory: builtin:x; models"),
        ("mqtt: {host: h}\nmodel: {path: 'builtin:'}", "model.path: no readable model directory: builtin:; models"),
        (
            "mqtt: {host: h}\nmodel: {path: c.yaml/x}",
            "model.path: no readable model directory: FOLDER/c.yaml/x; models",
        ),
        ('mqtt: {host: h, password_file: "a\\0b"}', "mqtt.password_file: should be the path of a file"),
        (
            "mqtt: {host: h, connect_timeout_s: 1e10}",
            "mqtt.connect_timeout_s: should be less than or equal to 10000000",
        ),
        ("mqtt: {host: h}\nmemory: {limit_mb: 4e9}", "memory.limit_mb: should be less than or equal to 1000000, not"),
        ("mqtt: {host: h}\ncache: {max_mb: 1e305}", "cache.max_mb: should be less than or equal to 1000000, not"),
        (
            "mqtt: {host: h}\nlimits: {max_pixels: 9999999999}",
            "limits.max_pixels: should be less than or equal to 4290",
        ),
        ("mqtt: {host: h}\nops: {http: {host: 'http://x'}}", "ops.http.host: should be a host name or an address"),
        ("mqtt: {host: h}\nthreads: {cpus: [0, 9999]}", "threads.cpus: this machine has no CPU 9999: they are 0 to"),
        ("mqtt: {host: h}\nthreads: {cpus: [0, 0]}", "threads.cpus: names a CPU twice"),
        ("mqtt: {host: h}\ncameras: [{prefetch: 2}]", "cameras[0].prefetch: works only with delivery: every"),
        (EVERY + "qos: 0", "cameras[0].qos: should be 1 with delivery: every"),
        (EVERY + "outputs: {labels: {qos: 0}}", "cameras[0].outputs.labels.qos: should be 1 with delivery: every"),
        (EVERY + "\noutput: {error: {qos: 0}}", "output.error.qos: should be 1 with delivery: every"),
    ],
)
def test_contradictions_are_refused(tmp_path: Path, content: str, error: str) -> None:
    """What single values cannot tell is checked when the configuration is loaded, and told with its key."""
    (message,) = _errors(tmp_path, content + "\n")
    assert message.startswith(error.replace("FOLDER", str(tmp_path)))


@pytest.mark.parametrize(
    ("content", "key"),
    [
        ("mqtt: {host: h, tls: {ca_file: LONG}}", "mqtt.tls.ca_file"),
        ("mqtt: {host: h, tls: {cert_file: c.yaml, key_file: LONG}}", "mqtt.tls.key_file"),
        ("mqtt: {host: h}\nmodel: {path: LONG}", "model.path"),
    ],
)
def test_a_path_about_which_the_system_gives_no_answer_is_refused(tmp_path: Path, content: str, key: str) -> None:
    """In a folder that is closed to us, or too long: its key is told; no other error ends a worker that reloads."""
    (message,) = _errors(tmp_path, content.replace("LONG", "x" * 300) + "\n")
    assert message.startswith(f"{key}: no readable ")


@pytest.mark.parametrize(
    ("content", "error"),
    [
        ("cameras: [{topic: 'a/{camera}'}, {topic: '{camera}/b'}]", "cameras[0].topic: overlaps cameras[1].topic"),
        ("cameras: [{topic: 'parsing/{camera}/labels'}]", "cameras[0].topic: would also take what this worker itself"),
        (
            "cameras: [{topic: '{camera}/n/status'}]\nnode: {id: n}",
            "cameras[0].topic: would also take what this worker",
        ),
        (
            "cameras: [{topic: 'edge-worker/n/request/{camera}'}]\nnode: {id: n}",
            "cameras[0].topic: overlaps node.request_topic",
        ),
        ("output: {error: {topic: 'cameras/{camera}/frame'}}", "cameras[0].topic: would also take what this worker"),
        (
            "commands: {response_prefix: cameras/}",
            "cameras[0].topic: would also take what this worker itself publishes to cameras/# (commands.resp",
        ),
        ("commands: {response_prefix: clients}", "commands.response_prefix: should end with /"),
        ("cameras: [{delivery: every, reply_prefix: replies}]", "cameras[0].reply_prefix: should end with /"),
        ("cameras: [{reply_prefix: replies/}]", "cameras[0].reply_prefix: needs delivery: every"),
        (
            "cameras: [{topic: 'r/{camera}', delivery: every, reply_prefix: parsing/}, {}]",
            "cameras[0].reply_prefix: includes topics that output.colormap.topic publishes to",
        ),
        (
            "output: {overlay: {topic: 'parsing/{camera}/labels'}}",
            "output.overlay.topic: is the topic of labels, too",
        ),
        (
            "node: {stats_topic: 's/{node}', model_topic: 's/{node}'}",
            "node.stats_topic: is the topic of node.model_topic",
        ),
        ("output: {labels: {topic: 'parsing/{camera}/overlay'}}", "output.labels.topic: is the topic of overlay, too"),
        (
            "cameras: [{outputs: {colormap: {topic: 'parsing/{camera}/error'}}}]",
            "cameras[0].outputs.colormap.topic: is the topic of error, too",
        ),
    ],
)
def test_topics_that_must_not_meet_are_refused(tmp_path: Path, content: str, error: str) -> None:
    """No frame is taken twice, and nothing that we publish comes back to us."""
    errors = _errors(tmp_path, f"mqtt: {{host: localhost}}\n{content}\n")
    assert errors[0].startswith(error)


def test_a_cpu_that_is_not_ours_is_told_with_its_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A unit or container may confine the worker to some of the machine's processors."""
    monkeypatch.setattr(os, "cpu_count", lambda: 4)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1})
    (message,) = _errors(tmp_path, "mqtt: {host: h}\nthreads: {cpus: [1, 2]}\n")
    assert message.startswith("threads.cpus: this process may not use CPU 2, only 0, 1 (AllowedCPUs=")
    assert _load(tmp_path, "mqtt: {host: h}\nthreads: {cpus: [0, 1]}\n").threads.cpus == (0, 1)


def test_who_runs_no_model_needs_none(tmp_path: Path) -> None:
    """A gateway may share the file of a worker whose model and processors are on another machine."""
    file = tmp_path / "c.yaml"
    file.write_text("mqtt: {host: h}\nmodel: {path: nowhere, precision: int8}\nthreads: {cpus: [99999]}\n")
    assert load(file, {}, runs_model=False).model.path.endswith("nowhere")
    with pytest.raises(ConfigError, match=r"model\.path"):
        load(file, {})


def test_commands_that_are_off_take_no_topics(tmp_path: Path) -> None:
    """Who turns commands off may use their topics for frames: nothing is subscribed to or answered there."""
    for kind in ("request", "response"):
        camera = f"node: {{id: n}}\ncameras: [{{topic: 'edge-worker/n/{kind}/{{camera}}'}}]\ncommands:"
        _load(tmp_path, f"mqtt: {{host: localhost}}\n{camera} {{enabled: false}}\n")
        assert _errors(tmp_path, f"mqtt: {{host: localhost}}\n{camera} {{enabled: true}}\n")
    _load(tmp_path, "mqtt: {host: localhost}\ncommands: {enabled: false, response_prefix: cameras/}\n")


@pytest.mark.parametrize(
    "topic",
    ["a/+/{camera}", "a/#", "a/{camera}/{camera}", "a/x{camera}", "a/{cam}/{camera}", "$SYS/{camera}", "", "a/{camera"],
)
def test_a_camera_topic_has_one_level_that_names_the_camera(tmp_path: Path, topic: str) -> None:
    """Wildcards, other placeholders and topics without a camera are refused."""
    (message,) = _errors(tmp_path, f"mqtt: {{host: localhost}}\ncameras:\n  - topic: '{topic}'\n")
    assert message.startswith("cameras[0].topic: ")


@pytest.mark.parametrize(
    "host", ["localhost", "broker.example.", "192.0.2.1", "::1", "fe80::1%eth0", "my_broker", "a-b"]
)
def test_hosts_are_taken(host: str) -> None:
    """Names, addresses of both kinds, and the names that container networks use."""
    assert is_host(host)


@pytest.mark.parametrize("host", ["", ".", "a b", "a..b", "-a", "a-", "user@h", "h:1883", "h/x", "x" * 64, "ä.example"])
def test_what_is_no_host_is_refused(host: str) -> None:
    """A name that the resolver would stumble over is found before the network is touched."""
    assert not is_host(host)


def test_the_address_is_what_people_look_for() -> None:
    """A socket has no port."""
    assert MqttConfig(host="broker").address == "broker:1883"
    assert MqttConfig(host="/run/m.sock", transport="unix").address == "/run/m.sock"


def test_a_password_does_not_cross_the_network_in_the_clear(tmp_path: Path) -> None:
    """Without TLS a password goes to this machine only, unless the operator accepts the risk; then it is said."""
    secret = {"EDGE_WORKER_MQTT_PASSWORD": "geheim"}
    (message,) = _errors(tmp_path, "mqtt: {host: broker, username: u}\n", **secret)
    assert message.startswith("mqtt.tls: is required: the password would cross the network to broker unencrypted")
    for safe in ("host: localhost", "host: 127.0.0.2", "host: '::1'", "host: /m, transport: unix", "host: b, tls: {}"):
        assert warnings(_load(tmp_path, f"mqtt: {{{safe}, username: u}}\n", **secret), secret) == ()
    config = _load(tmp_path, "mqtt: {host: broker, username: u, allow_plaintext: true}\n", **secret)
    assert warnings(config, secret) == ("mqtt.allow_plaintext: is true: the password crosses the network unencrypted",)


@pytest.mark.parametrize(
    ("content", "key"),
    [
        ("mqtt: {host: localhost, tls: {verify: false}}", "mqtt.tls.verify"),
        ("mqtt: {host: localhost, transport: websockets}", "mqtt.transport"),
        ("mqtt: {host: localhost}\nops: {http: {host: 0.0.0.0}}", "ops.http.host"),
        ("mqtt: {host: localhost}\ncameras: [{delivery: every, prefetch: 2}]", "cameras[0].prefetch"),
        (
            "mqtt: {host: localhost}\noutput: {colormap: {enabled: false}, labels: {enabled: false}}",
            "cameras[0].outputs",
        ),
    ],
)
def test_doubtful_settings_are_warned_of(tmp_path: Path, content: str, key: str) -> None:
    """What works but deserves a second look is one line that begins with its key."""
    (warning,) = warnings(_load(tmp_path, content + "\n"), {})
    assert warning.startswith(f"{key}: ")


def test_secret_files_open_to_others_are_warned_of(tmp_path: Path) -> None:
    """A password file is for its owner only."""
    secret = tmp_path / "secret"
    secret.write_text("geheim\n", encoding="ascii")
    content = "mqtt: {host: localhost, username: u, password_file: secret}\n"
    os.chmod(secret, 0o640)  # noqa: PTH101 - as an operator does
    assert warnings(_load(tmp_path, content), {})[0].startswith("mqtt.password_file: others may read the file")
    assert warnings(_load(tmp_path, content), {"CREDENTIALS_DIRECTORY": str(tmp_path)}) == ()  # so does systemd 254
    os.chmod(secret, 0o600)  # noqa: PTH101
    assert warnings(_load(tmp_path, content), {}) == ()


AUTO = EVERY + "split: {group: g}\n"


@pytest.mark.parametrize(
    ("content", "error"),
    [
        (EVERY + "split: {group: a/b}", "cameras[0].split.group: should be 1 to 64 characters without spaces"),
        (EVERY + "split: {group: g, share: 1}", "cameras[0].split.share: unknown key"),
        (AUTO + "    share_group: g", "cameras[0].split: cannot be combined with share_group"),
        (AUTO + "    reply_prefix: r/", "cameras[0].split: cannot be combined with reply_prefix"),
        (AUTO + "    topic: '{node}/{camera}'", "cameras[0].split: needs a topic that all nodes subscribe to"),
        (AUTO + "    max_age_s: 3", "cameras[0].max_age_s: should be null with split and delivery: every"),
        (AUTO + "node: {retain: false}", "node.retain: should be true with cameras[].split"),
        (AUTO + "node: {status_topic: 'a/x-{node}'}", "node.status_topic: should hold {node} once, as a level"),
        (
            AUTO + "node: {answered_topic: 'answered-{node}'}",
            "node.answered_topic: should hold {node} once, as a level of its own",
        ),
        (
            EVERY + "split: {group: g, members: [a, b]}\nnode: {id: c}",
            "cameras[0].split.members: should name this node, c (node.id): it would get no camera of a, b",
        ),
        (EVERY + "split: {group: g, members: [a, a]}\nnode: {id: a}", "cameras[0].split.members: names a node twice"),
        (EVERY + "split: {group: g, members: []}", "cameras[0].split.members: should be auto or a list of node ids"),
        (EVERY + "split: {group: g, members: [a/b]}", "cameras[0].split.members: should be node ids (node.id)"),
    ],
)
def test_split_says_where_it_cannot_work(tmp_path: Path, content: str, error: str) -> None:
    """Each with the key that is in the way."""
    assert any(line.startswith(error) for line in _errors(tmp_path, content)), _errors(tmp_path, content)


@pytest.mark.parametrize(
    ("content", "warning"),
    [
        (EVERY + "split: {group: g, members: [a]}\nnode: {id: a}", "cameras[0].split.members: a group of one"),
        (
            AUTO.replace("localhost", "localhost, keepalive_s: 10"),
            "mqtt.will_delay_s: is too long for keepalive_s: the cameras of a node that is lost may move 2 s later",
        ),
        (AUTO.replace("localhost", "localhost, keepalive_s: 5, will_delay_s: 0"), "mqtt.keepalive_s: is too short"),
    ],
)
def test_split_says_what_is_unwise(tmp_path: Path, content: str, warning: str) -> None:
    """A group of one, and a will that comes too late to keep the promise."""
    found = warnings(_load(tmp_path, content), {})
    assert any(line.startswith(warning) for line in found), found


@pytest.mark.parametrize(("keepalive_s", "will_delay_s", "of_control_s"), [(30, 10, 27), (10, 0, 7), (60, 10, 60)])
def test_split_keeps_its_promise(tmp_path: Path, keepalive_s: int, will_delay_s: int, of_control_s: int) -> None:
    """Cameras of a lost node move within 2 × keepalive_s: the link with the will is watched closely enough."""
    settings = f"localhost, keepalive_s: {keepalive_s}, will_delay_s: {will_delay_s}"
    config = _load(tmp_path, AUTO.replace("localhost", settings))
    assert not any(" later than 2 " in line for line in warnings(config, {}))
    assert moves_after_s(config) <= 2 * keepalive_s
    assert control_keepalive_s(config) == of_control_s


def test_split_waits_for_several_frames_at_a_time(tmp_path: Path) -> None:
    """Those that are held for other nodes would else hold up our own; whoever says how many has that."""
    assert _load(tmp_path, AUTO).cameras[0].prefetch == 20
    assert _load(tmp_path, AUTO + "    prefetch: 3").cameras[0].prefetch == 3
    assert _load(tmp_path, EVERY + "split: {group: g, members: [a]}\nnode: {id: a}").cameras[0].prefetch == 1
