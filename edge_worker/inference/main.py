"""The model process: receives frames from the worker over one channel, one at a time, and returns encoded results.

It runs native code on untrusted bytes, so it may crash or hang; the worker then starts another. It may also be
compromised, so before loading anything it gives up access to the network, most files and other processes. The worker
controls its lifetime: it exits when the channel closes or the worker dies, and ignores signals meant for the worker.

Messages, by ``type``: the worker sends ``settings`` (once, first), then ``frame`` with the payload as its blob. The
process sends ``phase`` at every change of phase and ``log`` for each log line; ``ready`` or ``failed`` after loading;
``result`` or ``rejected`` for each frame.
"""

from __future__ import annotations

import faulthandler
import logging
import os
import signal
import socket
import sys
import traceback
from contextlib import suppress
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any, Protocol

from edge_worker.common.errors import ConfigError, EdgeWorkerError, EngineError, FrameRejected
from edge_worker.common.platforms import signals
from edge_worker.inference.ipc import Channel
from edge_worker.inference.types import ModelSettings, OutputRequest
from edge_worker.ops.kernel import prctl
from edge_worker.ops.memory import COMPUTING, MemoryTrimmer
from edge_worker.ops.sandbox import Sandbox, summary

if TYPE_CHECKING:
    from collections.abc import Callable

    from edge_worker.inference.types import EncodedResult, ModelCardFacts

_MAX_PAYLOAD_BYTES = 300_000_000  # more than the largest MQTT message; decoding checks the configured limit
_PR_SET_PDEATHSIG = 1  # <linux/prctl.h>
_STDERR = 2


class FrameHandler(Protocol):
    """Handler of frames in a model process."""

    def card(self) -> ModelCardFacts:
        """Return the facts of the loaded model."""

    def warm_up(self, note: Callable[[str], None]) -> float:
        """Run a first frame, which is slow; return the seconds that later frames take."""

    def run(self, payload: bytes, request: OutputRequest, note: Callable[[str], None]) -> EncodedResult:
        """Parse one frame, calling *note* with each phase as it begins.

        Raises:
            FrameRejected: the frame has no result.
        """


class StandardError:
    """Standard error of this process, silenced while images are decoded.

    libjpeg and libpng write a line for each damaged image, which cannot be turned off: a camera could flood the log.
    Output of other phases is kept.
    """

    def __init__(self) -> None:
        """Start unsilenced; tracebacks of crashes in native code are written in every phase."""
        self._saved_stderr, self._null = os.dup(_STDERR), os.open(os.devnull, os.O_WRONLY)
        faulthandler.enable(self._saved_stderr)

    def silence(self, *, silent: bool) -> None:
        """Discard or keep what is written from now on."""
        os.dup2(self._null if silent else self._saved_stderr, _STDERR)


class ChannelLog(logging.Handler):
    """Sends our own log lines to the worker, all from the main thread, which owns the channel."""

    def __init__(self, channel: Channel) -> None:
        """Send lines over *channel*."""
        super().__init__(logging.INFO)
        self._channel = channel

    def emit(self, record: logging.LogRecord) -> None:
        """Send one line."""
        line = {"level": record.levelname.lower(), "logger": record.name, "event": record.getMessage()}
        self._channel.send({"type": "log", **line})


def main() -> int:
    """Run as a model process; the last argument is the file descriptor of the channel."""
    _ignore_signals()
    COMPUTING.take_effect()
    channel = Channel(socket.socket(fileno=int(sys.argv[-1])), max_blob_bytes=_MAX_PAYLOAD_BYTES)
    return serve(channel, _open_pipeline)


def serve(channel: Channel, open_handler: Callable[[ModelSettings], FrameHandler]) -> int:
    """Load the model that the first message names, then serve frames until the peer closes; return the exit status."""
    stderr = StandardError()
    logging.getLogger("edge_worker").addHandler(ChannelLog(channel))

    def note(phase: str) -> None:
        stderr.silence(silent=phase == "decode")
        channel.send({"type": "phase", "phase": phase})

    try:
        settings, sandbox = _receive_settings(channel)
        handler = _load(channel, lambda: open_handler(settings), sandbox, note)
        trimmer = MemoryTrimmer()
        while handler is not None:
            _serve_next(channel, handler, note)
            trimmer.trim_if_due()
            stderr.silence(silent=False)
    except EOFError:
        return 0
    return 1


def _serve_next(channel: Channel, handler: FrameHandler, note: Callable[[str], None]) -> None:
    """Receive a frame and reply to it; no reference to it remains while waiting for the next."""
    header, (payload,) = channel.receive()
    _reply(channel, handler, payload, OutputRequest.from_wire(header["request"]), note)


def _ignore_signals() -> None:
    """Ignore signals, which the worker handles."""
    for number in signals("SIGINT", "SIGTERM", "SIGHUP"):
        signal.signal(number, signal.SIG_IGN)


def _receive_settings(channel: Channel) -> tuple[ModelSettings, Sandbox]:
    """Receive the first message and tie this process to the worker's lifetime; returns its settings and sandbox."""
    header, _ = channel.receive()
    _die_with(header["parent"])
    settings = ModelSettings.from_wire(header["settings"])
    settings.threads.apply_to_process()
    return settings, Sandbox.from_wire(header["sandbox"])


def _die_with(parent: int) -> None:
    """Let the kernel kill this process when the worker dies, even during native code."""
    with suppress(OSError):  # Linux only; elsewhere the process ends when it next reads from the worker
        prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it died before prctl took effect
        raise EOFError("the worker is gone")


def _load(
    channel: Channel, open_handler: Callable[[], FrameHandler], sandbox: Sandbox, note: Callable[[str], None]
) -> FrameHandler | None:
    """Enter the sandbox, load and warm up the handler, and report the outcome; None if loading fails."""
    measures = sandbox.enter()
    try:
        handler = open_handler()
        note("warm_up")
        warm_up_s = handler.warm_up(note)
    except EdgeWorkerError as error:
        channel.send({"type": "failed", **_failure(error)})
        return None
    card = replace(handler.card(), sandbox=summary(measures | sandbox.limit_memory()))
    channel.send({"type": "ready", "card": asdict(card), "warm_up_s": warm_up_s})
    return handler


def _failure(error: EdgeWorkerError) -> dict[str, str]:
    """Return the message of *error*, and the configuration key to change, if any."""
    if isinstance(error, EngineError):
        return {"detail": str(error), "key": f"model.{error.option}"}
    if isinstance(error, ConfigError):
        return {"detail": error.problem, "key": error.key}
    return {"detail": str(error), "key": ""}


def _reply(
    channel: Channel, handler: FrameHandler, payload: bytes, request: OutputRequest, note: Callable[[str], None]
) -> None:
    """Parse one frame and reply, whatever the outcome."""
    try:
        header, images = handler.run(payload, request, note).to_wire()
        channel.post({"type": "result", **header}, *images)
    except FrameRejected as rejected:
        channel.post(_rejection(rejected.reason, rejected.detail))
    except Exception as error:  # noqa: BLE001 - a frame on which the model fails must not delay others
        channel.post(_rejection("model_error", f"{type(error).__name__}: {error}", traceback.format_exc()))
    channel.flush()


def _rejection(reason: str, detail: str, trace: str = "") -> dict[str, Any]:
    return {"type": "rejected", "reason": reason, "detail": detail, "trace": trace}


def _open_pipeline(settings: ModelSettings) -> FrameHandler:
    """Load the real pipeline."""
    # Imported late: numeric libraries size their thread pools when loaded, and the limits come with the settings.
    from edge_worker.inference.handler import PipelineHandler  # noqa: PLC0415

    return PipelineHandler(settings)


if __name__ == "__main__":
    code = main()
    sys.stderr.flush()
    os._exit(code)  # a stop waits for us: unloading native libraries is slow, and nothing else needs to be cleaned up
