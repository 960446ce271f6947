"""Where a camera's frames come from: image files, a video, a live stream, a webcam, or the rendered scene."""

from __future__ import annotations

import itertools
import subprocess
import sys
import time
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Thread
from typing import IO, TYPE_CHECKING, Final, Protocol

from edge_worker.common.addresses import without_login
from edge_worker.common.deadline import Deadline
from edge_worker.common.errors import EdgeWorkerError
from edge_worker.tools.capture import Bgr, Capture, jpeg
from edge_worker.tools.image_files import CONTENT_TYPES, find_images
from edge_worker.tools.scene import scene_at
from edge_worker.tools.stream_process import HEAD

if TYPE_CHECKING:
    from collections.abc import Iterator


SCENE = "scene"
# Frames per second for sources without a rate of their own.
IMAGES_FPS, SCENE_FPS, UNKNOWN_VIDEO_FPS = 1.0, 5.0, 25.0
# Default time without a frame after which a live stream is given up.
SILENCE_S = 60.0
STREAM_PROCESS: Final = "edge_worker.tools.stream_process"


@dataclass(frozen=True, slots=True)
class Shot:
    """An encoded frame, and when it was taken (seconds since the epoch)."""

    payload: bytes
    content_type: str
    captured_at: float


class Source(Protocol):
    """A source of frames."""

    fps: float
    """The source's own rate."""

    def shots(self, fps: float) -> Iterator[Shot]:
        """Yield the frames of one pass, sampled at *fps*; the caller does the pacing."""
        ...


def open_source(source: str, *, silence_s: float = SILENCE_S) -> Source:
    """Open *source*: "scene", a webcam's index, a URL, a folder, an image or a video.

    A live one is given up after *silence_s* without a frame.

    Raises:
        EdgeWorkerError: there is no such file, or it is none of these.
    """
    if source == SCENE:
        return RenderedScene()
    if source.isdecimal():
        return LiveStream(int(source), silence_s)
    if "://" in source:
        return LiveStream(source, silence_s)
    path = Path(source)
    if not path.exists():
        raise EdgeWorkerError(
            f"{without_login(source)}: no such file or folder (and no URL, webcam index or 'scene' either)"
        )
    if path.is_dir() or path.suffix.lower() in CONTENT_TYPES:
        return ImageFiles(path)
    return VideoFile(path)


class RenderedScene:
    """The demo's scene (:mod:`edge_worker.tools.scene`), endlessly."""

    fps = SCENE_FPS

    def shots(self, fps: float) -> Iterator[Shot]:
        """Yield the scene at *fps*."""
        for number in itertools.count():
            yield _jpeg(scene_at(number / fps)[..., ::-1])


class ImageFiles:
    """An image or a folder of images, sent unchanged."""

    fps = IMAGES_FPS

    def __init__(self, path: Path) -> None:
        """Look for images at *path*.

        Raises:
            EdgeWorkerError: the folder has none.
        """
        self._paths = find_images(path)
        if not self._paths:
            raise EdgeWorkerError(f"{path}: no images in this folder ({', '.join(sorted(CONTENT_TYPES))})")

    def shots(self, fps: float) -> Iterator[Shot]:  # noqa: ARG002 - every image is sent, whatever the rate
        """Yield one file after another."""
        for path in self._paths:
            yield Shot(path.read_bytes(), CONTENT_TYPES.get(path.suffix.lower(), ""), time.time())


class VideoFile:
    """A video, played in real time: frames between two shots are skipped."""

    def __init__(self, path: Path) -> None:
        """Open *path* once, to check that it is a video and to read its frame rate.

        Raises:
            EdgeWorkerError: it cannot be read as a video.
        """
        self._path = str(path)
        with closing(Capture(self._path)) as capture:
            if not capture.grab():
                raise EdgeWorkerError(f"{path}: neither an image ({', '.join(sorted(CONTENT_TYPES))}) nor a video")
            self.fps = capture.fps or UNKNOWN_VIDEO_FPS

    def shots(self, fps: float) -> Iterator[Shot]:
        """Yield the frame shown at each tick of a clock that ticks *fps* times a second."""
        with closing(Capture(self._path)) as capture:
            shown, due = 0, 0.0
            while capture.grab():
                shown += 1
                while due < shown and (frame := capture.retrieve()) is not None:
                    yield _jpeg(frame)
                    due += self.fps / fps


class LiveStream:
    """An RTSP or HTTP stream or a webcam: always its newest frame; reopened when it breaks off."""

    fps = UNKNOWN_VIDEO_FPS

    def __init__(self, address: str | int, silence_s: float = SILENCE_S) -> None:
        """Read *address*, a URL or a webcam's index; give up after *silence_s* without a frame."""
        self._address, self._silence_s = address, silence_s
        self._name = without_login(str(address)) if isinstance(address, str) else f"webcam {address}"

    def shots(self, fps: float) -> Iterator[Shot]:  # noqa: ARG002 - always the newest frame
        """Wait for a frame newer than the last one; a subprocess reads the stream.

        Raises:
            EdgeWorkerError: there was no frame for too long.
        """
        with subprocess.Popen(  # noqa: S603 - our own program
            (sys.executable, "-m", STREAM_PROCESS),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        ) as process:
            answers: SimpleQueue[Shot | str | None] = SimpleQueue()
            Thread(target=_read, args=(process.stdout, answers), daemon=True).start()
            sys.stderr.write(f"opening {self._name}\n")
            try:
                _ask(process, f"{self._address}\n".encode())
                while True:
                    yield self._next(process, answers)
            finally:
                process.kill()

    def _next(self, process: subprocess.Popen[bytes], answers: SimpleQueue[Shot | str | None]) -> Shot:
        deadline, trouble = Deadline(self._silence_s), ""
        with suppress(Empty):
            _ask(process, b"\n")
            while (answer := answers.get(timeout=deadline.remaining())) is not None:
                if isinstance(answer, Shot):
                    return answer
                if answer != trouble:
                    trouble = answer
                    sys.stderr.write(f"{self._name}: {trouble}. Trying again for up to {self._silence_s:g} s\n")
                _ask(process, b"\n")
        raise EdgeWorkerError(f"{self._name}: no frame for {self._silence_s:g} s" + (trouble and f": {trouble}"))


def _ask(process: subprocess.Popen[bytes], line: bytes) -> None:
    assert process.stdin  # noqa: S101 - it was asked for
    with suppress(BrokenPipeError):  # it has ended; the missing frame is reported
        process.stdin.write(line)
        process.stdin.flush()


def _read(stream: IO[bytes], answers: SimpleQueue[Shot | str | None]) -> None:
    """Put each answer of a stream process into *answers*, then None. Runs in a thread: no select() on Windows pipes."""
    while len(head := stream.read(HEAD.size)) == HEAD.size:
        is_frame, at, size = HEAD.unpack(head)
        data = stream.read(size)
        if len(data) < size:
            break
        answers.put(Shot(data, "image/jpeg", at) if is_frame else data.decode())
    answers.put(None)


def _jpeg(bgr: Bgr) -> Shot:
    """Encode a frame that was taken just now."""
    return Shot(jpeg(bgr), "image/jpeg", time.time())
