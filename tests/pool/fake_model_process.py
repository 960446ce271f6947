"""A model process without a model: what happens to a frame is written in its payload, as ``WORD ARGUMENT``.

With ``PHASE: `` before it, it happens in that phase instead of inference. The process serves with the same code as the
real one; only what handles the frames differs.
"""

from __future__ import annotations

import logging
import os
import signal
import socket
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edge_worker.common.errors import CheckpointError, DecodeError, EngineError
from edge_worker.imaging import png
from edge_worker.inference import main
from edge_worker.inference.types import EncodedImage, EncodedResult, ModelCardFacts

if TYPE_CHECKING:
    from collections.abc import Callable

    from edge_worker.inference.types import ModelSettings, OutputRequest

_PNG = png.SIGNATURE + png.chunk(b"IHDR", bytes(13)) + png.chunk(b"IEND", b"")


def echo(payload: bytes) -> bytes:
    """A PNG file, as far as the worker looks, that says what was heard."""
    return png.with_text(_PNG, {"heard": payload.decode()})


def body() -> dict[str, Any]:
    """The labels of an empty image, from which the process can be told."""
    process = {"id": os.getpid(), "name": "process", "pixels": 1}
    return {"image": {"width": 2, "height": 1}, "labels": [], "persons": [], "unassigned": [process]}


def _babble(_: str) -> None:
    os.write(int(sys.argv[-1]), b"\xff" * 100)
    time.sleep(60)


def _say(text: str) -> None:
    os.write(int(sys.argv[-1]), _message(text.encode()))
    time.sleep(60)


def _dither(_: str) -> None:
    both = b"".join(_message(b'{"type":"phase","phase":"%s","blobs":[]}' % phase) for phase in (b"compile", b"decode"))
    while True:
        os.write(int(sys.argv[-1]), both * 1000)


def _log(lines: str) -> None:
    for number in range(int(lines)):
        logging.getLogger("edge_worker.fake").warning("line %d", number)


def _message(header: bytes) -> bytes:
    return len(header).to_bytes(4, "big") + header


# What a process can say: lines of the log, or, once it was taken over, anything.
_SAYINGS = {"babble": _babble, "say": _say, "dither": _dither, "log": _log}

# Why a model cannot be loaded.
_REFUSALS: dict[str, Exception] = {
    "unusable": CheckpointError("pytorch_model.pt is missing"),
    "misfit": EngineError("precision int8 is not offered", option="precision"),
}


class Handler:
    """Does to itself what the payload says."""

    def __init__(self, settings: ModelSettings) -> None:
        self._settings = settings
        self._ballast: list[bytes] = []
        action = settings.model.path.removeprefix("fake:")
        self._name = Path(action.removeprefix("named ")).read_text() if action.startswith("named ") else "fake"
        self._act(action)

    def card(self) -> ModelCardFacts:
        effective = {"pid": os.getpid(), "environment": dict(os.environ), "signals": _ignored_signals()}
        return ModelCardFacts(
            name=self._name,
            sha256="0" * 64,
            engine="none",
            precision="f32",
            reason="a test",
            classes=("Background", "Hat"),
            colors=("#000000", "#ffffff"),
            threads={"requested": self._settings.requested_threads, "effective": effective},
        )

    def warm_up(self, note: Callable[[str], None]) -> float:
        note("compile")
        return 0.01

    def run(self, payload: bytes, request: OutputRequest, note: Callable[[str], None]) -> EncodedResult:
        word = payload.decode()
        if word.startswith("compile"):
            note("compile")
            self._act(word.replace("compile", "sleep"))
        when, _, what = word.rpartition(": ")
        for phase in ("decode", "inference"):
            note(phase)
            os.write(2, f"words of {phase}\n".encode())
            if phase == (when or "inference"):
                self._act(what)
        images = tuple(EncodedImage(image.kind, echo(payload)) for image in request.images)
        return EncodedResult(2, 1, images, body(), {"inference": 1.0})

    def _act(self, text: str) -> None:
        word, _, argument = text.partition(" ")
        if word == "sleep":
            time.sleep(float(argument))
        elif word == "raise":
            os.kill(os.getpid(), getattr(signal, argument))
            time.sleep(60)  # a stopped process goes on here
        elif word == "exit":
            os._exit(int(argument))
        elif word == "grow":
            self._ballast.append(bytes(bytearray(b"x") * int(float(argument) * 1_000_000)))
        elif word == "image":
            raise DecodeError("undecodable", "this is not an image")
        elif word == "bug":
            raise ZeroDivisionError("a defect")
        elif word in _REFUSALS:
            raise _REFUSALS[word]
        elif word == "connect":
            socket.create_connection(("127.0.0.1", int(argument)))
        elif word in _SAYINGS:
            _SAYINGS[word](argument)


def _ignored_signals() -> list[str]:
    return [number.name for number in signal.Signals if signal.getsignal(number) is signal.SIG_IGN]


if __name__ == "__main__":
    main._open_pipeline = Handler
    sys.exit(main.main())
