"""``python -m edge_worker.tools.stream_process``: reads a live stream or a webcam for the process that started it.

A process of its own, because OpenCV may be deep inside a native read when the tool is to end: a thread there would
abort the interpreter, a process can be killed. The first line of standard input is the address, which may hold a
password and so is no argument; each further line asks for a frame newer than the last one given. Frames are written to
standard output as :data:`HEAD` and a JPEG.
"""

from __future__ import annotations

import os
import struct
import sys
import threading
import time
from contextlib import closing
from typing import Final

from edge_worker.tools.capture import Bgr, Capture, jpeg

HEAD: Final = struct.Struct("!dI")
"""When a frame was taken (seconds since the epoch), and the size of its JPEG."""

PAUSE_S: Final = 2.0
"""Between two attempts to open a stream that broke off."""


class _Newest:
    """The newest frame, handed from the thread that reads to the one that writes."""

    def __init__(self) -> None:
        self._frame: tuple[Bgr, float] | None = None
        self._fresh = threading.Condition()

    def put(self, frame: Bgr) -> None:
        with self._fresh:
            self._frame = (frame, time.time())
            self._fresh.notify()

    def take(self) -> tuple[Bgr, float]:
        with self._fresh:
            self._fresh.wait_for(lambda: self._frame is not None)
            assert self._frame is not None  # noqa: S101 - it was waited for
            taken, self._frame = self._frame, None
            return taken


def main() -> None:
    """Serve until standard input ends."""
    address = sys.stdin.buffer.readline().decode().rstrip("\n")
    newest = _Newest()
    threading.Thread(target=_read, args=(int(address) if address.isdecimal() else address, newest), daemon=True).start()
    try:
        _serve(newest)
    finally:
        os._exit(0)  # not sys.exit: the other thread may be inside OpenCV


def _read(address: str | int, newest: _Newest) -> None:
    """Keep the newest frame: a stream that is not read queues up old ones."""
    while True:
        with closing(Capture(address)) as capture:
            while capture.grab() and (frame := capture.retrieve()) is not None:
                newest.put(frame)
        time.sleep(PAUSE_S)


def _serve(newest: _Newest) -> None:
    for _ in sys.stdin.buffer:
        frame, taken = newest.take()
        data = jpeg(frame)
        sys.stdout.buffer.write(HEAD.pack(taken, len(data)) + data)
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
