"""MQTT 5 request/response: a frame whose results go only to the requesting client. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite
from typing import TYPE_CHECKING, Final

from edge_worker.common.topics import is_publishable

if TYPE_CHECKING:
    from collections.abc import Mapping

OUTPUTS: Final = "outputs"
MASKS: Final = "masks"
SCORE_THRESHOLD: Final = "score-threshold"
KIND: Final = "kind"
"""User properties: the first three are sent with requests, the last with replies."""


@dataclass(frozen=True, slots=True)
class Request:
    """Response topic and options of a request.

    Attributes:
        topic: the Response Topic.
        correlation: the Correlation Data, returned unchanged.
        expires: monotonic time in seconds at which the request expires; None: never.
        outputs: requested kinds of image; None: as configured.
        masks: whether the labels have run lengths; None: as configured.
        score_threshold: from 0 to 1; None: as configured.
    """

    topic: str
    correlation: bytes | None = None
    expires: float | None = None
    outputs: frozenset[str] | None = None
    masks: bool | None = None
    score_threshold: float | None = None


def may_reply_to(topic: str, prefix: str | None) -> bool:
    """Whether replies may go to the Response *topic* of a message, given the configured *prefix*.

    Without this limit a message could make the worker publish to any topic that it may publish to.
    """
    return prefix is not None and topic.startswith(prefix) and is_publishable(topic)


def wishes(properties: Mapping[str, str]) -> tuple[frozenset[str] | None, bool | None, float | None]:
    """Read the requested images, masks and score threshold; invalid values are ignored."""
    outputs, masks = properties.get(OUTPUTS), properties.get(MASKS)
    images = None if outputs is None else frozenset(outputs[:256].split(","))
    return images, None if masks is None else masks == "rle", _fraction(properties.get(SCORE_THRESHOLD))


def _fraction(text: str | None) -> float | None:
    try:
        number = float(text or "")
    except ValueError:
        return None
    return number if isfinite(number) and 0.0 <= number <= 1.0 else None
