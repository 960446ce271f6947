"""The demo end to end, as `make demo` starts it."""

from __future__ import annotations

import functools
import json
import shutil
import signal
import urllib.request
from contextlib import suppress
from typing import TYPE_CHECKING

import commands
import cv2
import psutil  # type: ignore[import-untyped]
import pytest
import yaml
from brokers import wait_until
from workers import IMAGE

from edge_worker.messages import LabelsMessage

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.demo


def processes_of(folder: Path) -> list[psutil.Process]:
    """Every process that was started for the demo in *folder*: itself, its children and theirs."""
    found = []
    for process in psutil.process_iter(["cmdline", "status"]):
        if str(folder) in " ".join(process.info["cmdline"] or []) and process.info["status"] != psutil.STATUS_ZOMBIE:
            with suppress(psutil.NoSuchProcess):
                found += [process, *process.children(recursive=True)]
    return found


def names_of(folder: Path) -> list[str]:
    """The command lines of those processes; one may end while it is being looked at."""
    lines = []
    for process in processes_of(folder):
        with suppress(psutil.NoSuchProcess):
            lines.append(" ".join(process.cmdline()))
    return lines


@pytest.fixture
def out(tmp_path: Path) -> Iterator[Path]:
    """The demo's folder; whatever it left running fails the test, and is ended."""
    folder = tmp_path / "demo"
    yield folder
    left = processes_of(folder)
    for process in left:
        process.kill()
    assert not left


def test_a_new_user_sees_maps_and_labels(out: Path) -> None:
    """One command: results, images and figures are there, the summary is right, and everything has ended."""
    ended = commands.run("demo", "--seconds", "3", "--out", out, "--model", "builtin:seeded")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    labels = sorted(out.glob("frames/*.labels.json"))
    maps, overlays = sorted(out.glob("frames/*.colormap.png")), sorted(out.glob("frames/*.overlay.jpg"))
    summary = json.loads((out / "summary.json").read_text())
    assert len(labels) == len(maps) == len(overlays) == summary["frames"] > 0
    assert summary["files"] == 3 * summary["frames"]
    assert {"decode", "inference", "total"} <= summary["latency_ms"].keys()
    for file in labels:
        assert LabelsMessage.model_validate_json(file.read_bytes()).camera == "demo"
    for image in (*maps, *overlays, out / "summary.png"):
        assert cv2.imread(str(image)) is not None, image
    assert yaml.safe_load((out / "edge_worker.yaml").read_text())["mqtt"]["host"] == "127.0.0.1"
    assert "its labels mean nothing" in ended.stdout
    assert ended.stdout.count(" demo ") >= summary["frames"]


def test_ctrl_c_ends_it_in_order(out: Path) -> None:
    """Interrupted after the first results, the demo sums up what came and leaves nothing running."""
    with commands.start("demo", "--seconds", "600", "--out", out, "--model", "builtin:seeded") as demo:
        results = functools.partial(out.glob, "frames/*.labels.json")  # the first may not be summed up yet
        wait_until(lambda: len(list(results())) > 1, "two results", 60.0)
        demo.send_signal(signal.SIGINT)
        output, errors = demo.communicate(timeout=40)
    assert demo.returncode == 0, errors
    assert "side by side" in output
    assert "Traceback" not in errors


def test_killed_demo_leaves_no_children(out: Path) -> None:
    """Even kill -9 of the demo ends broker, worker and model process."""
    with commands.start("demo", "--out", out, "--model", "builtin:seeded") as demo:
        wait_until(
            lambda: any("edge_worker.inference.main" in name for name in names_of(out)), "the model process", 30.0
        )
        demo.kill()
    wait_until(lambda: not processes_of(out), "its children end", 40.0)


def test_source_that_cannot_be_read_is_told_at_once(out: Path) -> None:
    """Nothing is started for a source that is not there."""
    ended = commands.run("demo", "--source", "nowhere.mp4", "--out", out)
    assert ended.returncode == 1
    assert "nowhere.mp4: no such file" in ended.stderr
    assert not out.exists()


def test_model_that_is_not_there_is_told_at_once(out: Path, tmp_path: Path) -> None:
    """Nothing is started for a directory without a model."""
    ended = commands.run("demo", "--out", out, "--model", tmp_path)
    assert ended.returncode == 1
    assert "no model here" in ended.stderr
    assert not out.exists()


def test_worker_that_fails_is_told_with_its_log(out: Path, tmp_path: Path) -> None:
    """Exit code 1, and the end of the worker's log: here a checkpoint whose weights are cut off."""
    shutil.copy(IMAGE.with_name("configuration.json"), tmp_path)
    (tmp_path / "pytorch_model.pt").write_bytes(IMAGE.with_name("pytorch_model.pt").read_bytes()[:1000])
    ended = commands.run("demo", "--out", out, "--model", tmp_path)
    assert ended.returncode == 1
    assert "the worker cannot start to work" in ended.stderr
    assert "pytorch_model.pt" in ended.stderr


@pytest.mark.mosquitto
def test_the_page_is_served_until_interrupted(out: Path) -> None:
    """``--web``: the address is told, a photo is parsed there, Ctrl-C ends everything and sums up."""
    with commands.start("demo", "--web", "--model", "builtin:seeded", "--fps", "2", "--out", out) as process:
        assert process.stdout is not None
        lines: list[str] = []
        for line in process.stdout:
            lines.append(line)
            if "the page: " in line:
                break
        address = lines[-1].partition("the page: ")[2].strip()
        request = urllib.request.Request(  # noqa: S310 - loopback
            f"{address}/api/v1/parse", IMAGE.read_bytes(), {"Content-Type": "image/png"}
        )
        with urllib.request.urlopen(request, timeout=60.0) as response:  # noqa: S310 - loopback
            assert json.load(response)["image"] == {"width": 240, "height": 200}
        wait_until(lambda: list(out.glob("frames/*.json")), "a result is recorded", 60.0)
        process.send_signal(signal.SIGINT)
        assert process.wait(60.0) == 0, "".join(lines)
