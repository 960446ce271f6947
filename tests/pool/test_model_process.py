"""The pool with the real model process: the small seeded model behind the real pipeline."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from images import encoded, photo
from outputs import output_request

from edge_worker.common.deadline import Deadline
from edge_worker.common.errors import FrameRejected, ModelProcessDied
from edge_worker.config import Config, LimitsConfig, ModelConfig, MqttConfig, ThreadsConfig
from edge_worker.pool import ModelPool

if TYPE_CHECKING:
    from collections.abc import Iterator

    from edge_worker.inference.types import EncodedResult

ROOT = Path(__file__).parents[2]
LOADS_WITHIN_S = 60
FRAME = encoded(photo(90, 60), "PNG")
REQUEST = output_request(masks="rle", overlay=True)


@pytest.fixture(scope="module")
def pool(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ModelPool]:
    """One process with the seeded model, small."""
    config = Config(
        mqtt=MqttConfig(host="localhost"),
        model=ModelConfig(path="builtin:seeded", short_side=64),
        threads=ThreadsConfig(inference=1, nice=1),
        limits=LimitsConfig(max_payload_mb=1, max_pixels=100_000),
    )
    pool = ModelPool(
        config,
        state_directory=None,
        cache_directory=tmp_path_factory.mktemp("cache"),
        environ={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    yield pool
    pool.end(0)
    pool.close()


def run(pool: ModelPool, payload: bytes) -> EncodedResult:
    deadline = Deadline(LOADS_WITHIN_S)
    while not pool.make_ready(0):
        assert not deadline.expired
    return pool.run(0, payload, hashlib.sha256(payload).hexdigest(), REQUEST).result


def test_frames_come_back_parsed(pool: ModelPool) -> None:
    """Map, overlay and labels arrive; the card says what ran and which threads took effect."""
    result = run(pool, FRAME)
    assert (result.width, result.height) == (90, 60)
    assert (result.image("colormap") or b"").startswith(b"\x89PNG")
    assert (result.image("overlay") or b"").startswith(b"\xff\xd8")
    assert result.body["image"] == {"width": 90, "height": 60}
    card = pool.card()
    assert card is not None
    assert card.threads["effective"]["inference"] == card.threads["effective"]["opencv"] == 1
    assert card.threads["effective"]["nice"] == min(19, os.getpriority(os.PRIO_PROCESS, 0) + 1)


def test_the_process_that_decodes_is_confined(pool: ModelPool) -> None:
    """The kernel says so: a filter of system calls, no new privileges, no core dumps, a bound on memory."""
    run(pool, FRAME)
    process = Path(f"/proc/{pool.state().processes[0].pid}")
    status = dict(line.split(":\t", 1) for line in (process / "status").read_text().splitlines() if ":\t" in line)
    assert (status["NoNewPrivs"], status["Seccomp"]) == ("1", "2")
    limits = {line[:26].strip(): line[26:].split()[:2] for line in (process / "limits").read_text().splitlines()}
    assert limits["Max core file size"] == ["0", "0"]
    assert int(limits["Max data size"][1]) < 6e9
    card = pool.card()
    assert card is not None
    assert card.sandbox["refused"] == {}


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (b"", "undecodable"),
        (b"GIF89a" + bytes(100), "unsupported"),
        (FRAME[:-50], "undecodable"),
        (bytes(1_000_001), "too_big"),
        (encoded(photo(400, 300), "JPEG"), "too_many_pixels"),
        (b'{"image": 5}', "undecodable"),
    ],
)
def test_bad_images_are_answered_with_a_reason(pool: ModelPool, payload: bytes, reason: str) -> None:
    """And the same process goes on."""
    with pytest.raises(FrameRejected) as rejected:
        run(pool, payload)
    assert rejected.value.reason == reason
    assert run(pool, FRAME).image("colormap")
    assert pool.state().processes[0].crashes == 0


def test_a_killed_process_comes_back_quickly_and_gives_the_same(pool: ModelPool) -> None:
    """Compiled networks are on disk, and the size to warm up with is known: the frame is answered again."""
    before = run(pool, FRAME)
    pid = pool.state().processes[0].pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    began = time.monotonic()
    try:
        after = run(pool, FRAME)
    except ModelProcessDied:
        after = run(pool, FRAME)
    assert time.monotonic() - began < 15  # a second on an idle machine
    assert (after.image("colormap"), after.body) == (before.image("colormap"), before.body)


def test_the_side_of_the_worker_imports_no_numeric_library() -> None:
    """The worker process stays small."""
    code = "import sys, edge_worker.pool, edge_worker.service.result_cache; print(*sys.modules)"
    modules = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, cwd=ROOT).stdout
    assert not {"numpy", "cv2", "openvino", "PIL", "torch"} & set(modules.split())
