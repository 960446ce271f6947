"""Each command on a Python that lacks what Windows or macOS lack: not those platforms, but what can be had here."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from brokers import free_port, wait_until
from links import Client
from workers import IMAGE, WorkerProcess

if TYPE_CHECKING:
    from brokers import Mosquitto

HERE = Path(__file__).parent / "other_platform"


def on(platform: str, home: Path) -> dict[str, str]:
    """The environment of a command on *platform*."""
    paths = os.pathsep.join([str(HERE), str(HERE.parents[1])])
    return {"PYTHONPATH": paths, "PYTHON_TEST_PLATFORM": platform, "XDG_CACHE_HOME": str(home), "HOME": str(home)}


def edge_worker(platform: str, home: Path, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run a command to its end."""
    return subprocess.run(
        [sys.executable, "-m", "edge_worker", *map(str, arguments)],
        env={**os.environ, **on(platform, home)},
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )


@pytest.mark.parametrize("platform", ["windows", "macos"])
@pytest.mark.openvino
def test_images_are_parsed_and_timed(platform: str, tmp_path: Path) -> None:
    """`parse`, `bench`, `model info` and `check` need nothing that only Linux has."""
    parsed = edge_worker(
        platform, tmp_path, "parse", IMAGE, "--model", "builtin:seeded", "--out", tmp_path / "out", "--overlay"
    )
    assert parsed.returncode == 0, parsed.stderr
    assert json.loads((tmp_path / "out" / f"{IMAGE.stem}.labels.json").read_text())["image"]["width"]
    timed = edge_worker(
        platform, tmp_path, "bench", "--model", "builtin:seeded", "--variants", "openvino:f32", "--turns", "1", IMAGE
    )
    assert timed.returncode == 0, timed.stderr
    assert edge_worker(platform, tmp_path, "model", "info", "builtin:seeded").returncode == 0
    (tmp_path / "worker.yaml").write_text("mqtt: {host: broker.example}\n")
    checked = edge_worker(platform, tmp_path, "check", "-c", tmp_path / "worker.yaml")
    assert checked.returncode == 0, checked.stderr


@pytest.mark.parametrize("platform", ["windows", "macos"])
@pytest.mark.mosquitto
def test_a_camera_publishes(platform: str, tmp_path: Path, mosquitto: Mosquitto) -> None:
    """`camera` sends a file; ending it needs no signal that Windows lacks."""
    with Client(mosquitto.port, "cameras/#") as client:
        sent = edge_worker(
            platform, tmp_path, "camera", IMAGE, "--host", "127.0.0.1", "--port", str(mosquitto.port), "--camera", "a"
        )
        assert sent.returncode == 0, sent.stderr
        wait_until(lambda: client.messages, "the image has arrived")


@pytest.mark.mosquitto
@pytest.mark.openvino
def test_macos_runs_the_worker(tmp_path: Path, mosquitto: Mosquitto) -> None:
    """Frames are answered; the model card says which protections the platform does not have."""
    with (
        Client(mosquitto.port, "#") as client,
        WorkerProcess(tmp_path, mosquitto.port, {}, on("macos", tmp_path)).ready(),
    ):
        client.publish("cameras/gate/frame", IMAGE.read_bytes(), qos=1)
        wait_until(lambda: [m for m in client.messages if m.topic == "parsing/gate/labels"], "the labels")
        card: dict[str, Any] = json.loads(
            next(m.payload for m in client.messages if m.topic == "edge-worker/box/model")
        )
        assert {"no_new_privileges", "network", "files"} <= set(card["sandbox"]["refused"])


def test_windows_is_told_where_the_worker_runs(tmp_path: Path) -> None:
    """`run` needs what Windows lacks, and says so at once."""
    (tmp_path / "worker.yaml").write_text(f"mqtt: {{host: 127.0.0.1, port: {free_port()}}}\n")
    ran = edge_worker("windows", tmp_path, "run", "-c", tmp_path / "worker.yaml")
    assert ran.returncode == 1
    assert "WSL" in ran.stderr
