"""``python -m edge_worker.tools.stream_process``: reads a live stream or a webcam for its parent process.

OpenCV may be inside a native read when the tool ends: a thread there would abort the interpreter, while a process can
be killed. The first line of standard input is the address, which may contain a password and so is not an argument; each
further line requests a frame newer than the last one, or the reason why there is none. Answers are written to standard
output as :data:`HEAD` and their content.
"""

from __future__ import annotations

import os
import socket
import struct
import sys
import threading
import time
from contextlib import closing
from typing import Final
from urllib.parse import urlsplit

from edge_worker.tools.capture import Bgr, Capture, jpeg

HEAD: Final = struct.Struct("!?dI")
"""Whether a JPEG or the reason for its absence follows; time (seconds since the epoch); size of what follows."""

PAUSE_S: Final = 2.0
"""Seconds between two attempts to open a stream that broke off."""

CONNECT_S: Final = 3.0
_PORTS: Final = {"rtsp": 554, "rtsps": 322, "http": 80, "https": 443, "rtmp": 1935}


class _Newest:
    """The newest frame, or why there is none, passed from the reading thread to the writing one."""

    def __init__(self) -> None:
        self._news: tuple[Bgr | str, float] | None = None
        self._fresh = threading.Condition()

    def put(self, news: Bgr | str) -> None:
        with self._fresh:
            if not isinstance(news, str) or self._news is None:  # keep a frame that has not been taken yet
                self._news = (news, time.time())
            self._fresh.notify()

    def take(self) -> tuple[Bgr | str, float]:
        with self._fresh:
            self._fresh.wait_for(lambda: self._news is not None)
            assert self._news is not None  # noqa: S101 - it was waited for
            taken, self._news = self._news, None
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
    """Read all frames and keep the newest: otherwise old ones queue up."""
    while True:
        reason = ""
        with closing(Capture(address)) as capture:
            while capture.grab() and (frame := capture.retrieve()) is not None:
                reason = "it broke off"
                newest.put(frame)
        newest.put(reason or why_silent(address))
        time.sleep(PAUSE_S)


def why_silent(address: str | int) -> str:
    """Explain why *address* yields no frames, by connecting to it; the text must not contain any part of it."""
    if isinstance(address, int):
        return "there is no such webcam, or another program uses it"
    try:
        parts = urlsplit(address)
        port = parts.port or _PORTS[parts.scheme]
        socket.create_connection((parts.hostname or "", port), CONNECT_S).close()
    except (ValueError, KeyError):  # unknown port
        return "it gives no video"
    except OSError as error:
        return f"it cannot be reached: {error.strerror or error}"
    return "it accepts connections, but gives no video (is the path or the login wrong?)"


def _serve(newest: _Newest) -> None:
    for _ in sys.stdin.buffer:
        news, at = newest.take()
        data = news.encode() if isinstance(news, str) else jpeg(news)
        sys.stdout.buffer.write(HEAD.pack(not isinstance(news, str), at, len(data)) + data)
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
