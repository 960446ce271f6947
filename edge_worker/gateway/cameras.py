"""The newest frame and results of each camera, kept in memory and bounded."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict, deque
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from pydantic import ValidationError

from edge_worker.common.errors import DecodeError
from edge_worker.common.topics import Template
from edge_worker.frames.envelope import is_envelope, open_envelope
from edge_worker.gateway.problems import Problem
from edge_worker.messages import ErrorMessage, LabelsMessage
from edge_worker.mqtt.message import Incoming, Subscription

if TYPE_CHECKING:
    from collections.abc import Callable

    from edge_worker.config import Config

MAX_CAMERAS: Final = 64
MAX_ERRORS: Final = 20
_RATE_OF: Final = 10  # frames
_KINDS: Final = ("colormap", "overlay", "labels", "error")


@dataclass(slots=True)
class Camera:
    """One camera; ``images`` has the newest ``frame``, ``colormap`` and ``overlay``."""

    images: dict[str, bytes] = field(default_factory=dict)
    labels: bytes = b""
    facts: dict[str, Any] = field(default_factory=dict)
    times: deque[float] = field(default_factory=lambda: deque(maxlen=_RATE_OF))
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    def values(self, now: float) -> dict[str, Any]:
        """Describe it; ``age_s`` is the time since its newest labels arrived; None if none did."""
        span = now - self.times[0] if self.times else 0.0
        return {
            **self.facts,
            "images": sorted(self.images),
            "age_s": round(now - self.times[-1], 3) if self.times else None,
            "fps": round((len(self.times) - 1) / span, 2) if span > 0 else 0.0,
        }


class Cameras:
    """All cameras seen. Belongs to the event loop."""

    def __init__(self, config: Config) -> None:
        """Read the topics of *config*; sections that take requests have no public results."""
        node, public = config.node.id, [one for one in config.cameras if one.reply_prefix is None]
        self._templates = [("frame", Template(camera.topic, node=node)) for camera in public]
        for camera in public:
            sections = config.outputs_for(camera).all_results()
            self._templates += [(kind, Template(sections[kind].topic, node=node)) for kind in _KINDS]
        self._max_bytes = config.limits.max_payload_bytes
        self.cameras: OrderedDict[str, Camera] = OrderedDict()
        self.errors: deque[dict[str, Any]] = deque(maxlen=MAX_ERRORS)
        self.on_change: Callable[[str, str, dict[str, Any]], None] = lambda *_: None

    def subscriptions(self) -> tuple[Subscription, ...]:
        """Subscriptions to frames and results."""
        filters = {template.filter for _, template in self._templates}
        return tuple(Subscription(one, 0) for one in sorted(filters))

    def get(self, name: str) -> Camera:
        """Return a camera.

        Raises:
            Problem: ``not_found``.
        """
        if name not in self.cameras:
            raise Problem("not_found", "no camera of this name has been seen")
        return self.cameras[name]

    def values(self) -> list[dict[str, Any]]:
        """Describe all cameras."""
        now = time.monotonic()
        return [{"camera": name, **camera.values(now)} for name, camera in sorted(self.cameras.items())]

    def take(self, message: Incoming) -> bool:
        """Take a frame or a result; False where *message* is neither."""
        for kind, template in self._templates:
            if (name := template.match(message.topic)) is not None:
                self._take(kind, name, message.payload)
                return True
        return False

    def _take(self, kind: str, name: str, payload: bytes) -> None:
        if kind == "labels":
            self._labels(name, payload)
        elif kind == "error":
            self._error(payload)
        elif kind == "frame":
            self._frame(name, payload)
        else:
            self._image(name, kind, payload)

    def _frame(self, name: str, payload: bytes) -> None:
        with suppress(DecodeError):  # the worker tells its sender
            image = open_envelope(payload, self._max_bytes).image if is_envelope(payload) else payload
            self._image(name, "frame", image)

    def _image(self, name: str, kind: str, image: bytes) -> None:
        if image and len(image) <= self._max_bytes:
            camera = self._get_or_add(name)
            camera.images[kind] = image
            camera.changed.set()
            camera.changed = asyncio.Event()

    def _labels(self, name: str, payload: bytes) -> None:
        try:
            labels = LabelsMessage.model_validate_json(payload)
        except ValidationError:
            return
        camera, now = self._get_or_add(name), time.monotonic()
        camera.labels = payload
        camera.times.append(now)
        camera.facts = {
            "node": labels.node,
            "frame_id": labels.frame_id,
            "width": labels.image.width,
            "height": labels.image.height,
            "persons": len(labels.persons),
            "total_ms": labels.timings_ms.total,
            "published_at": labels.published_at,
        }
        self.on_change("labels", name, camera.values(now))

    def _error(self, payload: bytes) -> None:
        try:
            error = ErrorMessage.model_validate_json(payload).to_values()
        except ValidationError:
            return
        self.errors.append(error)
        self.on_change("error", str(error["camera"]), error)

    def _get_or_add(self, name: str) -> Camera:
        """Return a camera, added if need be in place of the one heard of longest ago."""
        camera = self.cameras.setdefault(name, Camera())
        self.cameras.move_to_end(name)
        while len(self.cameras) > MAX_CAMERAS:
            self.cameras.popitem(last=False)
        return camera


def content_type(image: bytes) -> str:
    """Return the media type of *image* by its first bytes; browsers are told not to guess."""
    if image.startswith(b"\xff\xd8\xff"):
        return "image/jpeg"
    if image.startswith(b"\x89PNG\r\n\x1a\n"):
        return "image/png"
    if image.startswith(b"BM"):
        return "image/bmp"
    if image[:4] == b"RIFF" and image[8:12] == b"WEBP":
        return "image/webp"
    return "application/octet-stream"
