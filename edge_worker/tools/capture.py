"""OpenCV's video reader with timeouts, and without its messages on standard error."""

from __future__ import annotations

import os
from typing import Any, TypeAlias

import cv2
import numpy as np

from edge_worker.imaging.decoder import silence_decoder

Bgr: TypeAlias = np.ndarray[Any, np.dtype[np.uint8]]

JPEG_QUALITY = 90
# A live stream without a frame for this long is reopened.
STREAM_TIMEOUT_S = 10.0

# FFmpeg's AV_LOG_QUIET; OpenCV reads it when it first opens a video.
os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")


class Capture:
    """A video file, stream or webcam."""

    def __init__(self, address: str | int) -> None:
        """Open *address*; :meth:`grab` tells whether that worked."""
        silence_decoder()
        if isinstance(address, int):
            self._capture = cv2.VideoCapture(address)
        else:
            limits = (cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, cv2.CAP_PROP_READ_TIMEOUT_MSEC)
            timeouts = [setting for limit in limits for setting in (limit, int(STREAM_TIMEOUT_S * 1000))]
            self._capture = cv2.VideoCapture(address, cv2.CAP_FFMPEG, timeouts)
        self.fps = float(self._capture.get(cv2.CAP_PROP_FPS))

    def grab(self) -> bool:
        """Advance to the next frame; returns False at the end."""
        return self._capture.grab()

    def retrieve(self) -> Bgr | None:
        """Decode the grabbed frame: BGR uint8 of shape (H, W, 3); None if that fails."""
        decoded, frame = self._capture.retrieve()
        return np.asarray(frame, np.uint8) if decoded else None

    def close(self) -> None:
        """Release the file, the connection or the device."""
        self._capture.release()


def jpeg(bgr: Bgr) -> bytes:
    """Encode a frame, BGR uint8 H×W×3, as JPEG."""
    return cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])[1].tobytes()
