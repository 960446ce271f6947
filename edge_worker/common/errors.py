"""All expected errors of the project, in one tree.

::

    EdgeWorkerError
    ├── ConfigError          a setting is wrong: names file, line, key and what to do          → exit code 78
    ├── ModelError           a model cannot be used
    │   ├── CheckpointError      files are missing, altered, or have other shapes than the configuration says
    │   └── EngineError          the requested engine is not installed or cannot run this model
    ├── FrameRejected        this frame gets an error message instead of a result; others are not affected
    │   └── DecodeError          … because its bytes are not an image we accept
    ├── CommandError         a command gets an error response
    ├── ResultTooLarge       a message is larger than configuration or broker allow
    └── ModelProcessError    the model process failed while working on a frame
        ├── ModelProcessDied     it ended (crash, out of memory, kill)
        └── ModelProcessStuck    it exceeded a deadline and was killed

and :class:`edge_worker.inference.ipc.ProtocolError`, which the pool treats as the death of the model process that
sent the message.

An exception outside this tree is a bug: it ends the process, and the service manager restarts it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


class EdgeWorkerError(Exception):
    """Base of all expected errors; ``str()`` is written for operators."""


class ConfigError(EdgeWorkerError):
    """A setting is wrong.

    ``str()`` reads ``FILE:LINE: key: problem``, which editors and terminals turn into a link.
    """

    def __init__(self, problem: str, *, key: str = "", file: Path | str | None = None, line: int | None = None) -> None:
        """*problem* includes what to do about it; *file* and *line* (1-based) say where *key* was found, if known."""
        self.problem, self.key, self.file, self.line = problem, key, file, line
        place = "" if file is None else f"{file}:{line}" if line is not None else str(file)
        super().__init__(": ".join(part for part in (place, key, problem) if part))


class ModelError(EdgeWorkerError):
    """A model cannot be used."""


class CheckpointError(ModelError):
    """A model directory is incomplete, altered, or lacks tensors that its configuration requires."""


class EngineError(ModelError):
    """The requested engine or precision is not available here; the message says which are.

    ``option`` names the key to change: engine or precision.
    """

    def __init__(self, problem: str, *, option: str = "engine") -> None:
        """Describe the *problem*."""
        self.option = option
        super().__init__(problem)


class FrameRejected(EdgeWorkerError):
    """A frame that is answered with an error message.

    ``reason`` is one of :data:`edge_worker.frames.frame.REJECTIONS`, which are stable; ``detail`` is for people.
    """

    def __init__(self, reason: str, detail: str) -> None:
        """Reject for *reason*, explained by *detail*."""
        self.reason, self.detail = reason, detail
        super().__init__(f"{reason}: {detail}")


class DecodeError(FrameRejected):
    """Bytes that are not an image we accept: undecodable, unsupported, too_big or too_many_pixels."""


class ModelProcessError(EdgeWorkerError):
    """The model process failed while working on a frame, in the given ``phase``."""

    def __init__(self, detail: str, *, phase: str) -> None:
        """Describe the failure, and the *phase* in which it happened."""
        self.detail, self.phase = detail, phase
        super().__init__(f"{detail} (phase: {phase})")


class ModelProcessDied(ModelProcessError):
    """The model process ended: a crash in native code, out of memory, or killed from outside."""


class ModelProcessStuck(ModelProcessError):
    """The model process exceeded the deadline of a phase and was killed."""


class CommandError(EdgeWorkerError):
    """A command that cannot be carried out; ``transaction`` is the request's, if it has a valid one."""

    def __init__(self, problem: str, *, transaction: str | int | None = None) -> None:
        """*problem* includes what to do about it."""
        self.transaction = transaction
        super().__init__(problem)


class ResultTooLarge(EdgeWorkerError):
    """A message is larger than the configuration or the broker allows, or seems to be; it was not sent.

    ``reason`` is ``too_big``, or ``refused`` if the broker may forbid the topic instead.
    """

    def __init__(self, size: int, limit: int, *, doubtful_topic: str = "") -> None:
        """Describe a packet of *size* bytes where *limit* are allowed.

        *doubtful_topic*: the limit is a guess, because the broker closes connections over messages for this topic.
        """
        self.size, self.limit = size, limit
        self.reason = "refused" if doubtful_topic else "too_big"
        super().__init__(
            f"the broker closes the connection over messages of {size} bytes for {doubtful_topic}:"
            " no permission for the topic, or too large?"
            if doubtful_topic
            else f"a message of {size} bytes is over the limit of {limit} (mqtt.max_result_mb or the broker's)"
        )
