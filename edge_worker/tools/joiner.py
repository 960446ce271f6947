"""Joins the messages of one frame: its images and its labels."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

from edge_worker.imaging import png

if TYPE_CHECKING:
    from collections.abc import Mapping

    from edge_worker.messages import LabelsMessage
    from edge_worker.mqtt.message import Incoming

# Images that wait for their labels; the oldest are dropped. Camera names are untrusted: this bounds their number, too.
MAX_WAITING = 64


@dataclass(frozen=True, slots=True)
class FrameResult:
    """Everything published for one frame; ``json`` is the labels message as received."""

    labels: LabelsMessage
    json: bytes
    images: Mapping[str, bytes]


class Joiner:
    """Keeps images until the labels of their frame arrive, which come last."""

    def __init__(self) -> None:
        """Start empty."""
        self._waiting: OrderedDict[tuple[str, str | None], dict[str, bytes]] = OrderedDict()

    def image(self, kind: str, camera: str, message: Incoming) -> None:
        """Keep an image of *camera*."""
        key = (camera, frame_id_of(message))
        self._waiting.setdefault(key, {})[kind] = message.payload
        self._waiting.move_to_end(key)
        while len(self._waiting) > MAX_WAITING:
            self._waiting.popitem(last=False)

    def labels(self, labels: LabelsMessage, json: bytes) -> FrameResult:
        """Return *labels* together with the images of their frame.

        An image without an id (a JPEG over MQTT 3.1.1) belongs to its camera's next labels, since images come first.
        """
        anonymous = self._waiting.pop((labels.camera, None), {})
        named = self._waiting.pop((labels.camera, labels.frame_id), {})
        return FrameResult(labels, json, MappingProxyType({**anonymous, **named}))


def frame_id_of(message: Incoming) -> str | None:
    """Read the frame's id from the message's properties (MQTT 5) or the PNG's text; None without either."""
    if "frame-id" in message.properties:
        return message.properties["frame-id"]
    try:
        return png.read_text(message.payload).get("frame-id")
    except ValueError:
        return None
