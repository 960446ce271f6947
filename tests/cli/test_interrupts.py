from __future__ import annotations

import os
import shutil
import signal
import subprocess
from contextlib import suppress
from pathlib import Path

import commands
import pytest
from brokers import DISCONNECT, FakeBroker, Peer, wait_until
from replies import JPEG

from edge_worker.cli import INTERRUPTED
from edge_worker.m2fp.directory import resolve
from edge_worker.m2fp.engines.openvino import precisions

GOLDEN = Path(__file__).parents[1] / "golden" / "tiny-single"


def interrupted(process: subprocess.Popen[str]) -> list[str]:
    """Press Ctrl-C; the lines of standard error after those that were read."""
    # Python does not see a signal that comes just before a read that blocks: then it is pressed again, as a user would.
    for _ in range(5):
        process.send_signal(signal.SIGINT)
        with suppress(subprocess.TimeoutExpired):
            _, errors = process.communicate(timeout=10)
            assert process.returncode == INTERRUPTED, errors
            return errors.splitlines()
    process.kill()
    raise AssertionError("it goes on")


def test_parse_is_interrupted_and_goes_on_later(tmp_path: Path) -> None:
    """After the first of two images: the last line says why it ended, and the next run does the rest."""
    first, second, out = tmp_path / "first.jpg", tmp_path / "second.jpg", tmp_path / "out"
    first.write_bytes(JPEG)
    os.mkfifo(second)
    options = ("parse", first, second, "--model", "builtin:seeded", "--threads", "1", "--out", out)
    ends: list[int] = []

    def is_read() -> bool:
        """Open the pipe, which only works once somebody reads it; it is at its end only when it is closed."""
        with suppress(OSError):
            ends.append(os.open(second, os.O_WRONLY | os.O_NONBLOCK))
        return bool(ends)

    with commands.start(*options) as parse:
        wait_until(is_read, "the first image is parsed", commands.LIMIT_S)
        assert interrupted(parse)[-1] == "interrupted"
    os.close(*ends)
    assert [file.name for file in out.glob("*.labels.json")] == ["first.labels.json"]
    second.unlink()
    second.write_bytes(JPEG)
    again = commands.run(*options)
    assert again.returncode == 0
    assert " skipped, parsed before" in again.stderr
    assert len(list(out.glob("*.labels.json"))) == 2


@pytest.mark.parametrize("moment", ["loading", "exporting", "judging"])
def test_long_commands_are_interrupted_in_a_line(tmp_path: Path, moment: str) -> None:
    """In the middle of what takes long: no traceback, exit code 130, and no half of a model that passes for one."""
    for number in range(8):
        (tmp_path / f"{number}.jpg").write_bytes(JPEG)
    os.mkfifo(tmp_path / "pipe")  # whose end never comes
    model = shutil.copytree(resolve("builtin:seeded"), tmp_path / "model")
    argv = {
        "loading": ("parse", tmp_path / "pipe", "--model", model, "--out", tmp_path / "out"),
        "exporting": ("model", "export", GOLDEN, "--out", tmp_path / "out"),
        "judging": ("model", "gate", model, "--frames", tmp_path),
    }
    if moment == "exporting":
        pytest.importorskip("torch")
    if moment == "judging" and not precisions()[1:]:
        pytest.skip("this processor is offered no reduced precision")
    with commands.start(*argv[moment]) as process:
        assert process.stderr
        assert process.stderr.readline().startswith(moment)
        assert interrupted(process) == ["interrupted"]
    assert not (tmp_path / "out" / "manifest.json").exists()


def test_check_is_interrupted_in_a_line() -> None:
    """While it waits for a broker that does not answer."""

    def say_nothing(peer: Peer) -> None:
        peer.read_until(DISCONNECT)

    with FakeBroker(say_nothing) as broker:
        place = {"EDGE_WORKER__MQTT__HOST": "127.0.0.1", "EDGE_WORKER__MQTT__PORT": str(broker.port)}
        with commands.start("check", "--connect", **place) as check:
            wait_until(lambda: broker.peers, "it connects", commands.LIMIT_S)
            assert interrupted(check)[-1] == "interrupted"
