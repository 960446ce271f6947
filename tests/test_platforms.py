"""Each command on a Python that lacks what Windows or macOS lack: not those platforms, but what can be had here."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import commands
import pytest
from brokers import wait_until
from gateways import CAMERAS, GatewayProcess
from links import Client
from workers import IMAGE, WorkerProcess

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

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


@contextmanager
def watching(environment: Mapping[str, str], folder: Path, *place: str) -> Iterator[None]:
    """Run ``watch --save`` until the block ends; it has subscribed when that begins."""
    with commands.start("watch", "--save", folder, *place, **environment) as watch:
        try:
            assert watch.stderr
            assert any("subscribed" in said for said in watch.stderr)
            yield
        finally:
            watch.terminate()


@pytest.mark.parametrize("platform", ["windows", "macos"])
@pytest.mark.openvino
def test_images_are_parsed_and_timed(platform: str, tmp_path: Path) -> None:
    """`parse`, `export`, `bench` and `model` need nothing that only Linux has."""
    out, options = tmp_path / "out", ("--model", "builtin:seeded", "--overlay", "--masks", "rle")
    parsed = edge_worker(platform, tmp_path, "parse", IMAGE, "--out", out, *options)
    assert parsed.returncode == 0, parsed.stderr
    assert json.loads((out / f"{IMAGE.stem}.labels.json").read_text())["image"]["width"]
    exported = edge_worker(platform, tmp_path, "export", out, "--format", "coco")
    assert exported.returncode == 0, exported.stderr
    timed = edge_worker(
        platform, tmp_path, "bench", "--model", "builtin:seeded", "--variants", "openvino:f32", "--turns", "1", IMAGE
    )
    assert timed.returncode == 0, timed.stderr
    for verb in ("info", "verify"):
        assert edge_worker(platform, tmp_path, "model", verb, "builtin:seeded").returncode == 0


def test_configurations_are_checked_and_described(tmp_path: Path) -> None:
    """`check`, `config`, `schema` and `completion` work on Windows, which lacks all that macOS does."""
    file = tmp_path / "worker.yaml"
    file.write_text("mqtt: {host: broker.example}\n")
    for arguments, said in {
        ("check", "-c", file): "",
        ("config",): "host:",
        ("config", "-c", file): "broker.example",
        ("schema",): "asyncapi",
        ("completion", "bash"): "edge-worker",
    }.items():
        ran = edge_worker("windows", tmp_path, *arguments)
        assert (ran.returncode, said in ran.stdout) == (0, True), ran.stderr


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


@pytest.mark.mosquitto
@pytest.mark.openvino
def test_windows_talks_to_a_worker_on_linux(tmp_path: Path, mosquitto: Mosquitto) -> None:
    """`status`, `request`, `watch` and `gateway` do what they do on Linux."""
    place = ("--host", "127.0.0.1", "--port", str(mosquitto.port))
    windows = on("windows", tmp_path)
    with WorkerProcess(tmp_path, mosquitto.port, {"cameras": CAMERAS}).ready():
        status = edge_worker("windows", tmp_path, "status", *place)
        assert "online" in status.stdout, status.stderr
        pinged = edge_worker("windows", tmp_path, "request", "ping", "--node", "box", *place)
        assert pinged.returncode == 0, pinged.stderr
        with (
            watching(windows, tmp_path / "watched", *place),
            GatewayProcess(tmp_path, mosquitto.port, windows) as gateway,
        ):
            response = gateway.online().post("/api/v1/parse", IMAGE.read_bytes(), Content_Type="image/png")
            assert (response.status, "persons" in response.json()) == (200, True)
            assert edge_worker("windows", tmp_path, "camera", IMAGE, *place).returncode == 0
            wait_until(lambda: [*tmp_path.glob("watched/*.labels.json")], "the results of the camera are saved")


@pytest.mark.parametrize("command", ["run", "demo"])
def test_windows_is_told_where_the_worker_runs(command: str, tmp_path: Path) -> None:
    """`run` and `demo` need what Windows lacks, and say so at once."""
    ran = edge_worker("windows", tmp_path, command)
    assert ran.returncode == 1
    assert ran.stderr.startswith(f"edge-worker {command} needs Linux or macOS")
