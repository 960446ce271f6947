from __future__ import annotations

import socket
import threading
from contextlib import contextmanager, suppress
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from itertools import islice
from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest
from replies import JPEG, PNG

from edge_worker.common.errors import EdgeWorkerError
from edge_worker.tools.sources import LiveStream, open_source
from edge_worker.tools.stream_process import why_silent

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

VIDEO_FPS, VIDEO_FRAMES = 10, 20


@pytest.fixture
def video(tmp_path: Path) -> Path:
    """A video whose frames grow brighter: frame n is about 10 n."""
    path = tmp_path / "video.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), VIDEO_FPS, (64, 48))
    for number in range(VIDEO_FRAMES):
        writer.write(np.full((48, 64, 3), number * 10, np.uint8))
    writer.release()
    return path


def brightness(payload: bytes) -> int:
    """Which frame of the video this is."""
    return round(float(np.asarray(cv2.imdecode(np.frombuffer(payload, np.uint8), cv2.IMREAD_COLOR)).mean()) / 10)


def test_images_are_sent_as_they_are(tmp_path: Path) -> None:
    """A folder's files go out byte for byte, in order, with their content type."""
    (tmp_path / "b.png").write_bytes(PNG)
    (tmp_path / "a.jpg").write_bytes(JPEG)
    shots = list(open_source(str(tmp_path)).shots(1.0))
    assert [(shot.payload, shot.content_type) for shot in shots] == [(JPEG, "image/jpeg"), (PNG, "image/png")]


def test_video_is_played_at_its_own_rate(video: Path) -> None:
    """Every frame of a video is shown once, as JPEG."""
    source = open_source(str(video))
    shots = list(source.shots(source.fps))
    assert source.fps == VIDEO_FPS
    assert [brightness(shot.payload) for shot in shots] == list(range(VIDEO_FRAMES))
    assert all(shot.payload.startswith(b"\xff\xd8") for shot in shots)


def test_video_keeps_its_pace_at_other_rates(video: Path) -> None:
    """Frames are skipped or repeated so that the video lasts as long as it does."""
    source = open_source(str(video))
    assert [brightness(shot.payload) for shot in source.shots(VIDEO_FPS / 4)] == [0, 4, 8, 12, 16]
    assert [brightness(shot.payload) for shot in islice(source.shots(VIDEO_FPS * 2), 6)] == [0, 0, 1, 1, 2, 2]


def test_scene_is_endless() -> None:
    """The scene goes on, and its frames differ."""
    assert len({shot.payload for shot in islice(open_source("scene").shots(5.0), 3)}) == 3


def test_stream_gives_its_newest_frame_and_comes_back(video: Path) -> None:
    """A stream that breaks off is opened anew; frames are taken from it as they come."""
    with served(video.parent) as address:
        shots = list(islice(LiveStream(f"{address}/{video.name}").shots(5.0), 1))
    assert 0 <= brightness(shots[0].payload) < VIDEO_FRAMES


def refusing() -> Iterator[int]:
    """A port that nobody listens on."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield taken.getsockname()[1]


def mute() -> Iterator[int]:
    """A port that ends each connection without a word."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=_hang_up, args=(server,), daemon=True).start()
        yield server.getsockname()[1]
        server.shutdown(socket.SHUT_RDWR)


def _hang_up(server: socket.socket) -> None:
    with suppress(OSError):
        while True:
            server.accept()[0].close()


@pytest.mark.parametrize(
    ("ports", "reason"), [(refusing, "cannot be reached: Connection refused"), (mute, "accepts connections, but")]
)
def test_why_a_stream_gives_nothing_is_told(ports: Callable[[], Iterator[int]], reason: str) -> None:
    """As far as a connection tells, and nothing of the address."""
    with contextmanager(ports)() as port:
        explanation = why_silent(f"rtsp://user:secret@127.0.0.1:{port}/gate")
    assert explanation.startswith(f"it {reason}")
    assert "127.0.0.1" not in explanation
    assert "webcam" in why_silent(99)


def test_a_stream_that_gives_nothing_is_given_up(capsys: pytest.CaptureFixture[str]) -> None:
    """What is opened is told at once, without the password."""
    with (
        contextmanager(refusing)() as port,
        pytest.raises(EdgeWorkerError, match=r"rtsp://\*\*\*@127.0.0.1:\d+/gate: no frame for 0.1 s"),
    ):
        next(LiveStream(f"rtsp://user:secret@127.0.0.1:{port}/gate", silence_s=0.1).shots(5.0))
    assert capsys.readouterr().err.startswith(f"opening rtsp://***@127.0.0.1:{port}/gate\n")


def test_numbers_are_webcams_and_urls_are_streams() -> None:
    """Neither is opened before it is asked for frames."""
    assert isinstance(open_source("0"), LiveStream)
    assert isinstance(open_source("rtsp://127.0.0.1/none"), LiveStream)


@pytest.mark.parametrize("name", ["missing.jpg", "empty", "text.mp4"])
def test_what_is_no_source_is_refused_at_once(tmp_path: Path, name: str) -> None:
    """A missing file, a folder without images and a file that is no video are named in the error."""
    (tmp_path / "empty").mkdir()
    (tmp_path / "text.mp4").write_text("no video")
    with pytest.raises(EdgeWorkerError, match=name):
        open_source(str(tmp_path / name))


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """Serve *folder* over HTTP on loopback."""

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_arguments: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
