"""Every expected error of the project, in one tree.

::

    EdgeWorkerError
    ├── ConfigError          a setting is wrong: names file, line, key and what to do          → exit code 78
    ├── ModelError           a model cannot be used
    │   ├── CheckpointError      files missing, altered, or not of the shapes the configuration asks for
    │   └── EngineError          the engine asked for is not installed or cannot run this model
    ├── FrameRejected        this frame gets an error message instead of a result; the others go on
    │   └── DecodeError          … because its bytes are not an image we accept
    ├── CommandError         a command gets an error response
    ├── ResultTooLarge       a message is larger than configuration or broker allow
    └── ModelProcessError    the model process failed under a frame
        ├── ModelProcessDied     it ended (crash, out of memory, kill)
        └── ModelProcessStuck    it passed a deadline and was killed

and :class:`edge_worker.inference.ipc.ProtocolError`, which the pool treats as the death of the model process that
sent it.

An exception outside this tree is a defect: it ends the process, and the service manager restarts it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


class EdgeWorkerError(Exception):
    """Base of all expected errors; ``str()`` is fit for an operator's eyes."""


class ConfigError(EdgeWorkerError):
    """A setting is wrong.

    ``str()`` reads ``FILE:LINE: key: problem``, as editors and terminals link it.
    """

    def __init__(self, problem: str, *, key: str = "", file: Path | str | None = None, line: int | None = None) -> None:
        """Describe *problem* (with what to do about it) at *key*, found in *file* on *line* (1-based) where known."""
        self.problem, self.key, self.file, self.line = problem, key, file, line
        place = "" if file is None else f"{file}:{line}" if line is not None else str(file)
        super().__init__(": ".join(part for part in (place, key, problem) if part))


class ModelError(EdgeWorkerError):
    """A model cannot be used."""


class CheckpointError(ModelError):
    """A model directory is incomplete, altered, or does not hold the tensors its configuration asks for."""


class EngineError(ModelError):
    """The engine or precision asked for is not available here; the message says which are.

    ``option`` is the one to change: engine or precision.
    """

    def __init__(self, problem: str, *, option: str = "engine") -> None:
        """Describe the *problem*."""
        self.option = option
        super().__init__(problem)


class FrameRejected(EdgeWorkerError):
    """A frame that is answered with an error message.

    ``reason`` is one of the stable words of :data:`edge_worker.frames.frame.REJECTIONS`; ``detail`` is for people.
    """

    def __init__(self, reason: str, detail: str) -> None:
        """Reject for *reason*, explained by *detail*."""
        self.reason, self.detail = reason, detail
        super().__init__(f"{reason}: {detail}")


class DecodeError(FrameRejected):
    """Bytes that are not an image we accept: undecodable, unsupported, too_big or too_many_pixels."""


class ModelProcessError(EdgeWorkerError):
    """The model process failed under a frame; ``phase`` says at what it was working."""

    def __init__(self, detail: str, *, phase: str) -> None:
        """Describe the failure in *detail*, in the *phase* it happened."""
        self.detail, self.phase = detail, phase
        super().__init__(f"{detail} (phase: {phase})")


class ModelProcessDied(ModelProcessError):
    """The model process ended by itself: a crash in native code, out of memory, or a kill from outside."""


class ModelProcessStuck(ModelProcessError):
    """The model process passed the deadline of a phase and was killed."""


class CommandError(EdgeWorkerError):
    """A command that cannot be carried out as asked; ``transaction`` is the request's, where it had a usable one."""

    def __init__(self, problem: str, *, transaction: str | int | None = None) -> None:
        """Describe the *problem*, with what to do about it."""
        self.transaction = transaction
        super().__init__(problem)


class ResultTooLarge(EdgeWorkerError):
    """A message is larger than the configuration or the broker allows, or seems to be; it was not sent.

    ``reason`` is ``too_big`` or, where the broker may just as well forbid the topic, ``refused``.
    """

    def __init__(self, size: int, limit: int, *, doubtful_topic: str = "") -> None:
        """Describe a packet of *size* bytes where *limit* are allowed.

        *doubtful_topic*: the limit is supposed, as the broker closes connections over messages for this topic.
        """
        self.size, self.limit = size, limit
        self.reason = "refused" if doubtful_topic else "too_big"
        super().__init__(
            f"the broker closes the connection over messages of {size} bytes for {doubtful_topic}:"
            " no permission for the topic, or too large?"
            if doubtful_topic
            else f"a message of {size} bytes is over the limit of {limit} (mqtt.max_result_mb or the broker's)"
        )
