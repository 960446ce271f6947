"""Where a camera's frames come from: picture files, a video, a live stream, a webcam, or the drawn scene."""

from __future__ import annotations

import threading
import time
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

import cv2
import numpy as np

from edge_worker.errors import EdgeWorkerError
from edge_worker.tools.image_files import CONTENT_TYPES, find_pictures
from edge_worker.tools.scene.scene import Scene

if TYPE_CHECKING:
    from collections.abc import Iterator

Bgr: TypeAlias = np.ndarray[Any, np.dtype[np.uint8]]

SCENE = "scene"
JPEG_QUALITY = 90
# Rates where the source has none of its own, frames a second.
PICTURES_FPS, SCENE_FPS, UNKNOWN_VIDEO_FPS = 1.0, 5.0, 25.0
# A live stream that gives nothing for so long is opened anew, after a pause; and is given up at last.
STREAM_TIMEOUT_S, STREAM_PAUSE_S, SILENCE_S = 10.0, 2.0, 60.0


@dataclass(frozen=True, slots=True)
class Shot:
    """One encoded frame, and when it was taken (seconds since the epoch)."""

    payload: bytes
    content_type: str
    captured_at: float


class Source(Protocol):
    """Frames at a rate of their own."""

    fps: float
    """The source's own rate."""

    def shots(self, fps: float) -> Iterator[Shot]:
        """Give the frames of one pass, as they would be seen at *fps*; pacing is the caller's part."""
        ...


def open_source(source: str) -> Source:
    """Recognise *source*: "scene", a webcam's index, a URL, a folder, a picture or a video.

    Raises:
        EdgeWorkerError: there is no such file, or it is none of these.
    """
    if source == SCENE:
        return DrawnScene()
    if source.isdecimal():
        return LiveStream(int(source))
    if "://" in source:
        return LiveStream(source)
    path = Path(source)
    if not path.exists():
        raise EdgeWorkerError(f"{source}: no such file or folder (and no URL, webcam index or 'scene' either)")
    if path.is_dir() or path.suffix.lower() in CONTENT_TYPES:
        return PictureFiles(path)
    return VideoFile(path)


class DrawnScene:
    """People drawn walking by (:mod:`edge_worker.tools.scene.scene`), for ever."""

    fps = SCENE_FPS

    def shots(self, fps: float) -> Iterator[Shot]:
        """Draw the scene at the moments *fps* asks for."""
        scene, number = Scene(), 0
        while True:
            yield _jpeg(scene.at(number / fps)[..., ::-1])
            number += 1


class PictureFiles:
    """A picture, or a folder of them, sent as the files are."""

    fps = PICTURES_FPS

    def __init__(self, path: Path) -> None:
        """Look for pictures at *path*.

        Raises:
            EdgeWorkerError: the folder holds none.
        """
        self._paths = find_pictures(path)
        if not self._paths:
            raise EdgeWorkerError(f"{path}: no pictures in this folder ({', '.join(sorted(CONTENT_TYPES))})")

    def shots(self, fps: float) -> Iterator[Shot]:  # noqa: ARG002 - every picture is sent, at whatever rate
        """Read one file after the other."""
        for path in self._paths:
            yield Shot(path.read_bytes(), CONTENT_TYPES.get(path.suffix.lower(), ""), time.time())


class VideoFile:
    """A video, played in its own time: frames between two shots are skipped."""

    def __init__(self, path: Path) -> None:
        """Open *path* once, to see that it is a video and how fast it runs.

        Raises:
            EdgeWorkerError: it cannot be read as a video.
        """
        self._path = str(path)
        with closing(_Capture(self._path)) as capture:
            if not capture.grab():
                raise EdgeWorkerError(f"{path}: neither a picture ({', '.join(sorted(CONTENT_TYPES))}) nor a video")
            self.fps = capture.fps or UNKNOWN_VIDEO_FPS

    def shots(self, fps: float) -> Iterator[Shot]:
        """Give the frames shown at each moment of a clock that ticks *fps* times a second."""
        with closing(_Capture(self._path)) as capture:
            shown, due = 0, 0.0
            while capture.grab():
                shown += 1
                while due < shown and (frame := capture.retrieve()) is not None:
                    yield _jpeg(frame)
                    due += self.fps / fps


class LiveStream:
    """An RTSP or HTTP stream or a webcam: always its newest frame, opened anew when it breaks off."""

    fps = UNKNOWN_VIDEO_FPS

    def __init__(self, address: str | int) -> None:
        """Prepare to read *address*: a URL or a webcam's index."""
        self._address = address
        self._newest: tuple[Bgr, float] | None = None
        self._fresh = threading.Condition()

    def shots(self, fps: float) -> Iterator[Shot]:  # noqa: ARG002 - whatever is newest when asked
        """Wait for a frame newer than the last one given.

        Raises:
            EdgeWorkerError: the stream has given nothing for ``SILENCE_S``.
        """
        over = threading.Event()
        threading.Thread(target=self._read, args=(over,), name="stream", daemon=True).start()
        try:
            while True:
                yield self._next()
        finally:
            over.set()

    def _next(self) -> Shot:
        with self._fresh:
            if not self._fresh.wait_for(lambda: self._newest is not None, SILENCE_S) or self._newest is None:
                raise EdgeWorkerError(f"{self._address}: no frame for {SILENCE_S:.0f} s")
            (frame, taken), self._newest = self._newest, None
        return _jpeg(frame, captured_at=taken)

    def _read(self, over: threading.Event) -> None:
        """Keep the newest frame, in a thread: a stream that is not read queues up old ones."""
        while not over.is_set():
            with closing(_Capture(self._address)) as capture:
                while not over.is_set() and capture.grab() and (frame := capture.retrieve()) is not None:
                    with self._fresh:
                        self._newest = (frame, time.time())
                        self._fresh.notify()
            over.wait(STREAM_PAUSE_S)


class _Capture:
    """OpenCV's video reader, with timeouts."""

    def __init__(self, address: str | int) -> None:
        """Open *address*; whether that worked, :meth:`grab` tells."""
        if isinstance(address, int):
            self._capture = cv2.VideoCapture(address)
        else:
            limits = (cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, cv2.CAP_PROP_READ_TIMEOUT_MSEC)
            timeouts = [setting for limit in limits for setting in (limit, int(STREAM_TIMEOUT_S * 1000))]
            self._capture = cv2.VideoCapture(address, cv2.CAP_FFMPEG, timeouts)
        self.fps = float(self._capture.get(cv2.CAP_PROP_FPS))

    def grab(self) -> bool:
        """Go on to the next frame; False at the end."""
        return self._capture.grab()

    def retrieve(self) -> Bgr | None:
        """Decode the frame grabbed: BGR uint8 of shape (H, W, 3); None if that fails."""
        decoded, frame = self._capture.retrieve()
        return np.asarray(frame, np.uint8) if decoded else None

    def close(self) -> None:
        """Release the file, the connection or the device."""
        self._capture.release()


def _jpeg(bgr: Bgr, *, captured_at: float | None = None) -> Shot:
    """Encode a frame taken just now, or at *captured_at*."""
    encoded = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])[1]
    return Shot(encoded.tobytes(), "image/jpeg", time.time() if captured_at is None else captured_at)
