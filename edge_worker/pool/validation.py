"""Validation of the untrusted output of a model process.

A process compromised by a hostile image can only falsify its results: whatever passes is publishable and was requested.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Final

from edge_worker.common.errors import ConfigError, FrameRejected, ModelError
from edge_worker.common.timestamps import rfc3339
from edge_worker.frames.frame import REJECTIONS
from edge_worker.imaging import png
from edge_worker.inference.outputs import CONTENT_TYPES, KINDS
from edge_worker.inference.types import EncodedResult, ModelCardFacts
from edge_worker.messages import ImageSize, LabelsBody, ModelCard, Timings

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from edge_worker.inference.types import OutputRequest

_MAX_DETAIL: Final = 1000  # characters of an explanation or a log line, for the log, a reply or the status
_MAX_STAGE_MS: Final = 86_400_000.0  # a day: statistics add such times up, and sums must not be infinite
_MAX_PERSONS: Final = 1000  # a model has fewer queries; the numbers become parts of topics
_KEYS: Final = ("model.engine", "model.precision", "palette")  # whose values a model may not support
_MEASURED_HERE: Final = ("queued", "total")

MAX_LINES: Final = 100
"""Log lines accepted from one process, which may be compromised and must not flood the log."""

_LOGGER: Final = "edge_worker."  # prefix of the loggers' names
_LEVELS: Final = {
    "info": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
    "critical": logging.CRITICAL,
}


def card_of(header: Mapping[str, Any]) -> ModelCardFacts:
    """Return the facts of the loaded model from a message.

    Raises:
        LookupError, TypeError, ValueError: they are missing, or not a valid model card.
    """
    facts = ModelCardFacts.from_wire(header["card"])
    ModelCard.of(facts, node="", published_at=rfc3339(0)).to_json()
    return facts


def failure_of(header: Mapping[str, Any]) -> ModelError | ConfigError:
    """Return the error of loading the model from a message; a ConfigError if it names a key to change.

    Raises:
        LookupError: the message has none.
    """
    detail, key = str(header["detail"])[:_MAX_DETAIL], header["key"]
    return ConfigError(detail, key=key) if key in _KEYS else ModelError(detail)


def result_of(header: Mapping[str, Any], blobs: tuple[bytes, ...], request: OutputRequest) -> EncodedResult:
    """Return the result in reply to *request* from a message.

    Raises:
        LookupError, TypeError, ValueError, OverflowError: the message has no valid one.
    """
    result = EncodedResult.from_wire(header, blobs)
    ImageSize(width=result.width, height=result.height)
    _require_stages(result.timings_ms)
    if request.labels:
        LabelsBody.model_validate(result.body).to_json()  # fails on lone surrogates
    _require_images(request, result)
    _require_no_more_than(request, result)
    return result


def rejection_of(header: Mapping[str, Any]) -> FrameRejected:
    """Return the rejection of a frame from a message.

    Raises:
        LookupError, ValueError: the message has none.
    """
    reason, detail = str(header["reason"]), str(header["detail"])
    if reason not in REJECTIONS:
        raise ValueError(f"unknown reason {reason!r:.50}")
    return FrameRejected(reason, detail[:_MAX_DETAIL])


def _require_stages(timings_ms: Mapping[str, float]) -> None:
    Timings.model_validate(timings_ms)
    if any(name in _MEASURED_HERE or ms > _MAX_STAGE_MS for name, ms in timings_ms.items()):
        raise ValueError(f"not the times of stages: {timings_ms}")


def _require_no_more_than(request: OutputRequest, result: EncodedResult) -> None:
    if bool(result.body) != request.labels:
        raise ValueError(f"not what was asked for: labels {bool(result.body)}")
    if unasked := {image.kind for image in result.images} - {image.kind for image in request.images}:
        raise ValueError(f"not what was asked for: {', '.join(sorted(unasked))}")


def _require_images(request: OutputRequest, result: EncodedResult) -> None:
    """Check that each requested image of a required kind is there once, and that persons have distinct numbers."""
    for wanted in request.images:
        kind, images = KINDS[wanted.kind], [image for image in result.images if image.kind == wanted.kind]
        persons = [image.person for image in images]
        if kind.per_person:
            _require_persons(persons)
        elif len(images) > 1 or (kind.required and not images) or any(person is not None for person in persons):
            raise ValueError(f"{len(images)} images of {kind.name} for {persons}")
        if CONTENT_TYPES[wanted.format] == "image/png":
            for image in images:
                png.read_text(image.data)


def _require_persons(persons: Sequence[int | None]) -> None:
    numbers = {person for person in persons if person is not None and 0 <= person < _MAX_PERSONS}
    if len(numbers) != len(persons):
        raise ValueError("images of persons without numbers of their own")


class RelayedLog:
    """Writes the log lines of one model process to the worker's log, which has one format and one stream."""

    def __init__(self) -> None:
        """Start with the whole allowance."""
        self._left = MAX_LINES

    def write(self, header: Mapping[str, Any]) -> None:
        """Log the line in a message; lines beyond :data:`MAX_LINES` are discarded.

        Raises:
            LookupError, ValueError: the message has none.
        """
        level, logger, text = _LEVELS[str(header["level"])], str(header["logger"])[:_MAX_DETAIL], str(header["event"])
        if not logger.startswith(_LOGGER):
            raise ValueError(f"unknown logger {logger!r:.50}")
        if self._left:
            self._left -= 1
            logging.getLogger(logger).log(level, "%s", text[:_MAX_DETAIL])
