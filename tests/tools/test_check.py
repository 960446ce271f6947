from __future__ import annotations

from typing import TYPE_CHECKING

import commands
import pytest
import yaml
from brokers import free_port

from edge_worker.m2fp.kernels.loader import describe_kernels, loaded_kernels

if TYPE_CHECKING:
    from pathlib import Path

    from brokers import Mosquitto


def configuration(folder: Path, port: int, **sections: object) -> Path:
    """A configuration for a broker on *port* and the small seeded model."""
    file = folder / "edge_worker.yaml"
    settings = {
        "mqtt": {"host": "127.0.0.1", "port": port, "reconnect": {"min_s": 0.1, "max_s": 0.2}},
        "model": {"path": "builtin:seeded", "short_side": 64},
        **sections,
    }
    file.write_text(yaml.safe_dump(settings))
    return file


def test_right_configuration_is_explained(tmp_path: Path) -> None:
    """Without --connect nothing is tried: what the worker would do is said, with the doubtful settings."""
    file = configuration(tmp_path, 1, ops={"http": {"host": "0.0.0.0"}})  # noqa: S104 - the doubtful setting
    ended = commands.run("check", "-c", file)
    assert ended.returncode == 0
    first, *lines = ended.stdout.splitlines()
    assert first == f"{file}: ok"
    assert any("127.0.0.1:1" in line for line in lines)
    assert any("cameras/{camera}/frame" in line and "parsing/{camera}/labels" in line for line in lines)
    assert any(line.startswith("warning: ops.http.host") for line in lines)
    assert f"  compiled kernels: {describe_kernels(loaded_kernels())}" in lines


@pytest.mark.mosquitto
def test_connect_tries_broker_and_model(tmp_path: Path, mosquitto: Mosquitto) -> None:
    """What works is said: login, subscriptions, publishing, model; and nothing but that."""
    ended = commands.run("check", "-c", configuration(tmp_path, mosquitto.port), "--connect")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    found = [line for line in ended.stdout.splitlines() if line.startswith("ok: ")]
    for topic in ("connected without TLS", "subscriptions granted", "publishing to", "model seeded: openvino"):
        assert any(topic in line for line in found), topic
    assert ended.stderr.splitlines() == [
        f"trying the broker 127.0.0.1:{mosquitto.port} …",
        "loading the model builtin:seeded …",
    ]


def test_connect_fails_where_something_does_not_work(tmp_path: Path) -> None:
    """A broker that is not there and a model that is not there are both told; the exit code is 1."""
    file = configuration(tmp_path, free_port(), model={"path": str(tmp_path)})
    ended = commands.run("check", "-c", file, "--connect")
    assert ended.returncode == 1
    failed = [line for line in ended.stdout.splitlines() if line.startswith("failed: ")]
    assert len(failed) == 2
    assert "refused" in failed[0]
    assert f"{tmp_path}: no model here" in failed[1]
