"""From a parsed frame, or the reason why there is none, to the messages that answer it. No I/O; the time comes in."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from edge_worker.common.timestamps import rfc3339
from edge_worker.common.topics import Template
from edge_worker.config.output import ResultConfig
from edge_worker.imaging import png
from edge_worker.inference.types import EncodedResult, OutputRequest
from edge_worker.messages import ERROR_SCHEMA, LABELS_SCHEMA, ErrorMessage, LabelsMessage, ModelName, Timings
from edge_worker.mqtt.events import Outgoing

if TYPE_CHECKING:
    from collections.abc import Mapping

    from edge_worker.config import OutputConfig
    from edge_worker.errors import FrameRejected
    from edge_worker.frames.frame import Frame

_JSON = "application/json"
_CONTENT_TYPES = {"palette-png": "image/png", "rgb-png": "image/png", "jpeg": "image/jpeg"}
_OVERLAY_TYPE = "image/jpeg"


@dataclass(frozen=True, slots=True)
class Now:
    """One moment on both clocks: epoch seconds for messages, monotonic seconds for durations."""

    epoch_s: float
    monotonic_s: float


@dataclass(frozen=True, slots=True)
class Parsed:
    """A frame's result and how it came about; ``taken`` is the monotonic time at which its turn came."""

    result: EncodedResult
    model: ModelName
    taken: float
    cached: bool


class ReplyBuilder:
    """Writes the answers to the frames of one camera section."""

    def __init__(self, node: str, outputs: OutputConfig) -> None:
        """*outputs* are the section's, overrides included."""
        self._node = node
        self._outputs = outputs
        self._sections = outputs.all_results()
        self._topics = {kind: Template(section.topic, node=node) for kind, section in self._sections.items()}

    def request(self, *, score_threshold: float | None) -> OutputRequest:
        """What the configuration wants of the model process."""
        outputs = self._outputs
        return OutputRequest(
            colormap=outputs.colormap.format if outputs.colormap.enabled else None,
            labels=outputs.labels.enabled,
            masks=outputs.labels.masks,
            instances=outputs.labels.instances,
            overlay=outputs.overlay.enabled,
            alpha=outputs.overlay.alpha,
            quality=outputs.overlay.quality,
            score_threshold=score_threshold,
        )

    def results(self, frame: Frame, parsed: Parsed, now: Now) -> dict[str, Outgoing]:
        """The messages of a parsed frame by kind, in the order to publish them: labels last, as the commit record.

        Where the frame is acknowledged, its labels are held until the broker has its pictures, which it may refuse. A
        map that is given up takes them with it: they would say that the frame was answered in full.
        """
        result = parsed.result
        properties = self._properties(frame) | {"width": str(result.width), "height": str(result.height)}
        messages = {}
        if result.overlay is not None:
            messages["overlay"] = self._message("overlay", frame, result.overlay, _OVERLAY_TYPE, properties)
        if result.colormap is not None:
            content_type = _CONTENT_TYPES[self._outputs.colormap.format]
            # MQTT 3.1.1 has no properties: a PNG carries the frame's identity itself.
            picture = png.with_text(result.colormap, properties) if content_type == "image/png" else result.colormap
            messages["colormap"] = self._message("colormap", frame, picture, content_type, properties)
        if result.body:
            labels = self._labels(frame, parsed, now).to_json()
            pictures = {kind: message.publication for kind, message in messages.items() if message.must_arrive}
            message = self._message("labels", frame, labels, _JSON, properties | {"schema": LABELS_SCHEMA})
            map_ = frozenset(number for kind, number in pictures.items() if kind == "colormap")
            messages["labels"] = replace(message, after=frozenset(pictures.values()), needs=map_)
        return messages

    def error(self, frame: Frame, rejection: FrameRejected, now: Now) -> Outgoing:
        """The message that answers a frame which could not be parsed."""
        message = ErrorMessage(
            **self._facts(frame, ERROR_SCHEMA, now), reason=rejection.reason, detail=rejection.detail
        )
        return self._message(
            "error", frame, message.to_json(), _JSON, self._properties(frame) | {"schema": ERROR_SCHEMA}
        )

    def _labels(self, frame: Frame, parsed: Parsed, now: Now) -> LabelsMessage:
        return LabelsMessage(
            **self._facts(frame, LABELS_SCHEMA, now),
            **parsed.result.body,
            model=parsed.model,
            timings_ms=Timings(**timings_ms(frame, parsed, now)),
            age_ms=round(1000 * frame.age_s(now.monotonic_s), 1),
            cached=parsed.cached,
        )

    def _facts(self, frame: Frame, schema: str, now: Now) -> dict[str, Any]:
        return {
            "schema": schema,
            "node": self._node,
            "camera": frame.camera,
            "frame_id": frame.frame_id,
            "captured_at": frame.captured_at,
            "received_at": rfc3339(frame.received_at),
            "published_at": rfc3339(now.epoch_s),
            "redelivered": frame.redelivered,
        }

    def _properties(self, frame: Frame) -> dict[str, str]:
        captured = {} if frame.captured_at is None else {"captured-at": frame.captured_at}
        return {"frame-id": frame.frame_id, "camera": frame.camera, "node": self._node, **captured}

    def _message(
        self, kind: str, frame: Frame, payload: bytes, content_type: str, properties: Mapping[str, str]
    ) -> Outgoing:
        section = self._sections[kind]
        return Outgoing(
            topic=self._topics[kind].format(camera=frame.camera),
            payload=payload,
            qos=section.qos,
            retain=isinstance(section, ResultConfig) and section.retain,  # errors are not
            content_type=content_type,
            properties=properties,
            expiry_s=self._outputs.result_expiry_s,
            must_arrive=frame.delivery is not None,
        )


def timings_ms(frame: Frame, parsed: Parsed, now: Now) -> dict[str, float]:
    """Milliseconds by stage, from waiting in the queue to publication; of a cached result only these two."""
    stages = {} if parsed.cached else parsed.result.timings_ms
    return {
        "queued": round(1000 * (parsed.taken - frame.arrived), 1),
        **stages,
        "total": round(1000 * (now.monotonic_s - frame.arrived), 1),
    }
