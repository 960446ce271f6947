"""A frame inside the worker, and the reasons for rejecting or dropping it. Pure, standard library only."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, get_args

from edge_worker.common.timestamps import epoch_s

if TYPE_CHECKING:
    from edge_worker.frames.request import Request

RejectionReason = Literal[
    "too_big", "too_many_pixels", "undecodable", "unsupported", "poisoned", "model_error", "refused"
]

REJECTIONS: Final[frozenset[str]] = frozenset(get_args(RejectionReason))
"""Why the reply to a frame was an error message."""

DROPS: Final = frozenset(
    {"superseded", "too_old", "throttled", "paused", "retained", "shutting_down", "answered_elsewhere"}
)
"""Why a frame got no reply at all, or none from this node."""

_PLAUSIBLE_LAG_S: Final = 86_400.0
"""A greater lag means a wrong clock, not an old frame."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """A message to acknowledge: packet *mid* of connection number *epoch* of a link."""

    link: str
    epoch: int
    mid: int


@dataclass(frozen=True, slots=True)
class Frame:
    """One image from a camera, as it arrived.

    ``received_at`` is in epoch seconds, ``arrived`` in seconds of the monotonic clock. ``source`` is the index of the
    camera section. ``sender_id`` is false if ``frame_id`` was made from the content. ``delivery`` is None if nothing
    must be acknowledged, ``request`` is None if the results go to the usual topics.
    """

    camera: str
    payload: bytes
    frame_id: str
    sender_id: bool
    captured_at: str | None
    received_at: float
    arrived: float
    retained: bool
    redelivered: bool
    source: int
    delivery: Delivery | None
    request: Request | None = None

    def is_expired(self, now: float) -> bool:
        """Whether the request for the results has expired at monotonic *now*."""
        return self.request is not None and self.request.expires is not None and now > self.request.expires

    def age_s(self, now: float) -> float:
        """Return the age in seconds at monotonic *now*: since capture if known, otherwise since arrival."""
        return now - self.arrived + self._lag_at_arrival_s()

    def _lag_at_arrival_s(self) -> float:
        if self.captured_at is None:
            return 0.0
        try:
            lag = self.received_at - epoch_s(self.captured_at)
        except ValueError:
            return 0.0
        return lag if 0.0 <= lag <= _PLAUSIBLE_LAG_S else 0.0


def content_id(camera: str, payload: bytes) -> str:
    """Return the id of a frame whose sender gave none: 16 hex digits of SHA-256(camera, zero byte, payload)."""
    return hashlib.sha256(camera.encode() + b"\0" + payload).hexdigest()[:16]
