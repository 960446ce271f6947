from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from edge_worker import cli
from edge_worker.config import load

if TYPE_CHECKING:
    from pathlib import Path

FILE = """\
mqtt: {host: broker.example, username: "off", transport: websockets,
       allow_plaintext: true, websocket_path: "/mqtt?token=s3cret"}
model:
  path: builtin:seeded
cameras:
  - topic: cameras/{camera}/frame
  - topic: "archive/{camera}/frame"
    delivery: every
    outputs: {overlay: {enabled: true}}
palette: {"Left shoe": "#ff8000"}
ops: {http: {}}
"""


@pytest.fixture
def shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> list[str]:
    """The lines that are printed, with the file's name as FILE and blanks as one each."""
    file = tmp_path / "edge_worker.yaml"
    file.write_text(FILE, encoding="utf-8")
    monkeypatch.setenv("EDGE_WORKER__MQTT__PORT", "8083")
    monkeypatch.setenv("EDGE_WORKER__CACHE", "{max_mb: 5}")
    monkeypatch.setenv("EDGE_WORKER_MQTT_PASSWORD", "hunter2!")
    assert cli.main(["config", "-c", str(file)]) == cli.OK
    return [" ".join(line.replace(str(file), "FILE").split()) for line in capsys.readouterr().out.splitlines()]


@pytest.mark.parametrize(
    "line",
    [
        "host: broker.example # FILE:1",
        'username: "off" # FILE:1',
        "port: 8083 # EDGE_WORKER__MQTT__PORT",
        "max_mb: 5.0 # EDGE_WORKER__CACHE",
        'path: "builtin:seeded" # FILE:4',
        '- topic: "cameras/{camera}/frame" # FILE:6',
        "delivery: latest # default",
        "delivery: every # FILE:8",
        "enabled: true # FILE:9",
        '"Left shoe": "#ff8000" # FILE:10',
        'host: "127.0.0.1" # default',
        "formats: [jpeg, png, webp, bmp] # default",
    ],
)
def test_each_value_has_its_source(shown: list[str], line: str) -> None:
    """A line of the file, a variable, or the default, also within sections that were written."""
    assert line in shown


def test_secrets_are_masked(shown: list[str]) -> None:
    """Where the password comes from is said, what it is never; the same for one in an address."""
    assert shown[-1] == "# password of the broker: ***, from $EDGE_WORKER_MQTT_PASSWORD"
    assert 'websocket_path: "/mqtt?token=***" # FILE:2' in shown
    assert not any("hunter2" in line or "s3cret" in line for line in shown)


def test_what_is_printed_is_the_same_configuration(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is YAML that a worker reads, with nothing lost on the way."""
    file, copy = tmp_path / "edge_worker.yaml", tmp_path / "copy.yaml"
    file.write_text(FILE.replace("?token=s3cret", ""), encoding="utf-8")
    monkeypatch.setenv("EDGE_WORKER__NODE__ID", '"1e3"')
    assert cli.main(["config", "-c", str(file)]) == cli.OK
    copy.write_text(capsys.readouterr().out, encoding="utf-8")
    assert load(copy, {}) == load(file, {"EDGE_WORKER__NODE__ID": '"1e3"'})


def test_a_wrong_file_is_a_configuration_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """As with every command: file, line and key, and exit code 78."""
    file = tmp_path / "edge_worker.yaml"
    file.write_text("mqtt:\n  prot: 1\n", encoding="utf-8")
    assert cli.main(["config", "-c", str(file)]) == cli.CONFIGURATION
    assert f"{file}:2: mqtt.prot" in capsys.readouterr().err
