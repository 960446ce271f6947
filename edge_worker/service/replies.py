"""From a parsed frame, or the reason why there is none, to its reply. No I/O; the time is passed in."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from edge_worker.common.errors import FrameRejected, ResultTooLarge
from edge_worker.common.timestamps import rfc3339
from edge_worker.common.topics import Template
from edge_worker.config.output import ResultConfig
from edge_worker.frames.request import KIND
from edge_worker.imaging import png
from edge_worker.inference.outputs import CONTENT_TYPES, KINDS
from edge_worker.messages import (
    ERROR_SCHEMA,
    LABELS_SCHEMA,
    AnsweredMessage,
    ErrorMessage,
    LabelsMessage,
    ModelName,
    Timings,
)
from edge_worker.mqtt.message import Outgoing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from typing import Self

    from edge_worker.config import OutputConfig
    from edge_worker.frames.frame import Frame
    from edge_worker.frames.request import Request
    from edge_worker.inference.types import EncodedImage, EncodedResult, OutputRequest
    from edge_worker.mqtt.size_limit import PacketLimit

_JSON = "application/json"


@dataclass(frozen=True, slots=True)
class Now:
    """One moment on both clocks: epoch seconds for messages, monotonic seconds for durations."""

    epoch_s: float
    monotonic_s: float

    @classmethod
    def read(cls) -> Self:
        """Read both clocks."""
        return cls(time.time(), time.monotonic())


@dataclass(frozen=True, slots=True)
class Parsed:
    """A frame's result and how it came about; ``taken`` is the monotonic time at which its turn came."""

    result: EncodedResult
    model: ModelName
    taken: float
    cached: bool


@dataclass(frozen=True, slots=True)
class Reply:
    """One message of the reply to a frame: which kind of result, and whether the reply is complete without it."""

    kind: str
    message: Outgoing
    required: bool


class ReplyBuilder:
    """Writes the replies to the frames of one camera section."""

    def __init__(self, node: str, outputs: OutputConfig, answered_topic: str | None = None) -> None:
        """*outputs* are the section's, overrides included; *answered_topic* is for a group's nodes, None without."""
        self._node, self._answered_topic = node, answered_topic
        self._outputs = outputs
        self._sections = outputs.all_results()
        self._topics = {kind: Template(section.topic, node=node) for kind, section in self._sections.items()}

    def topic(self, kind: str, frame: Frame) -> str:
        """The topic of a *kind* of result of *frame*; of images of persons, that of the first."""
        if frame.request is not None:
            return frame.request.topic
        return self._topics[kind].format(camera=frame.camera, person=0)

    def results(self, frame: Frame, parsed: Parsed, now: Now) -> tuple[Reply, ...]:
        """The messages of a parsed frame, in the order to publish them: labels last, as the commit record.

        Where the frame is acknowledged, its labels are held until the broker has its images, which it may refuse. If
        a required image is given up, so are they: they would say that the reply is complete.
        """
        result = parsed.result
        properties = self._properties(frame) | {"width": str(result.width), "height": str(result.height)}
        replies = [
            self._image(frame, image, properties) for kind in KINDS for image in result.images if image.kind == kind
        ]
        if result.body:
            labels = self._labels(frame, parsed, now).to_json()
            arriving = [reply for reply in replies if reply.message.must_arrive or frame.request is not None]
            message = replace(
                self._message("labels", frame, labels, _JSON, properties | {"schema": LABELS_SCHEMA}),
                after=frozenset(reply.message.publication for reply in arriving),
                needs=frozenset(reply.message.publication for reply in arriving if reply.required),
            )
            replies.append(Reply("labels", message, required=True))
        return tuple(replies)

    def _image(self, frame: Frame, image: EncodedImage, properties: Mapping[str, str]) -> Reply:
        kind = KINDS[image.kind]
        content_type = CONTENT_TYPES[kind.request(self._outputs).format]
        # MQTT 3.1.1 has no properties: a PNG carries the frame's identity itself.
        data = png.with_text(image.data, properties) if content_type == "image/png" else image.data
        message = self._message(kind.name, frame, data, content_type, properties, person=image.person)
        return Reply(kind.name, message, required=kind.required)

    def error(self, frame: Frame, rejection: FrameRejected, now: Now) -> Outgoing:
        """The reply to a frame that could not be parsed."""
        message = ErrorMessage(
            **self._facts(frame, ERROR_SCHEMA, now), reason=rejection.reason, detail=rejection.detail
        )
        return self._message(
            "error", frame, message.to_json(), _JSON, self._properties(frame) | {"schema": ERROR_SCHEMA}
        )

    def answered(self, frame: Frame, replies: Sequence[Reply] = ()) -> tuple[Reply, ...]:
        """The message that tells the other nodes, once the broker has the *replies*, that *frame* is answered; or none.

        If results are given up, so is it: an error follows, with another. After an error nothing follows.
        If the broker refuses it, the others answer the frame again.
        """
        if self._answered_topic is None:
            return ()
        message = Outgoing(
            self._answered_topic,
            AnsweredMessage(node=self._node, camera=frame.camera, frame_id=frame.frame_id).to_json(),
            content_type=_JSON,
            must_arrive=True,
            after=frozenset(reply.message.publication for reply in replies),
            needs=frozenset(one.message.publication for one in replies if one.required and one.kind != "error"),
        )
        return (Reply("answered", message, required=False),)

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
        self,
        kind: str,
        frame: Frame,
        payload: bytes,
        content_type: str,
        properties: Mapping[str, str],
        *,
        person: int | None = None,
    ) -> Outgoing:
        section = self._sections[kind]
        message = Outgoing(
            topic=self._topics[kind].format(camera=frame.camera, person=person),
            payload=payload,
            qos=section.qos,
            retain=isinstance(section, ResultConfig) and section.retain,  # errors are not
            content_type=content_type,
            properties=properties,
            expiry_s=self._outputs.result_expiry_s,
            must_arrive=frame.delivery is not None,
        )
        return message if frame.request is None else _to_requester(message, frame.request, kind, person)


def _to_requester(message: Outgoing, request: Request, kind: str, person: int | None) -> Outgoing:
    """Address *message* to the requester; it is not retried when refused: nobody waits for long."""
    shown = {KIND: kind} if person is None else {KIND: kind, "person": str(person)}
    return replace(
        message,
        topic=request.topic,
        correlation=request.correlation,
        properties={**message.properties, **shown},
        retain=False,
        must_arrive=False,
    )


def timings_ms(frame: Frame, parsed: Parsed, now: Now) -> dict[str, float]:
    """Milliseconds by stage, from waiting in the queue to publication; of a cached result only these two."""
    stages = {} if parsed.cached else parsed.result.timings_ms
    return {
        "queued": round(1000 * (parsed.taken - frame.arrived), 1),
        **stages,
        "total": round(1000 * (now.monotonic_s - frame.arrived), 1),
    }


def fitting(replies: Sequence[Reply], packet_limit: Callable[[str], PacketLimit]) -> tuple[Reply, ...]:
    """Leave out optional results that the broker would not accept; *packet_limit*: of a packet for a topic.

    Raises:
        FrameRejected: ``too_big``, or ``refused`` where that is supposed; the reply is not complete without this.
    """
    limits = {reply.message.topic: packet_limit(reply.message.topic) for reply in replies}
    large = [reply for reply in replies if reply.message.packet_size > limits[reply.message.topic].bytes]
    required = [reply.message for reply in large if reply.required]
    forbidden = next((one for one in required if limits[one.topic].supposed), None)
    if forbidden is not None:
        limit = limits[forbidden.topic].bytes
        error = ResultTooLarge(forbidden.packet_size, limit, doubtful_topic=forbidden.topic)
        raise FrameRejected(error.reason, str(error))
    if required:
        sizes = ", ".join(f"{reply.kind} {reply.message.packet_size}" for reply in large)
        taken = min(limit.bytes for limit in limits.values())
        raise FrameRejected("too_big", f"bytes of result: {sizes}; the broker takes {taken}")
    return tuple(reply for reply in replies if reply not in large)


def left_out(request: OutputRequest, parsed: Parsed, replies: Sequence[Reply]) -> Iterator[str]:
    """Name the kinds of image of which fewer are published than were wanted."""
    persons = len(parsed.result.body.get("persons", ()))
    for image in request.images:
        wanted = persons if KINDS[image.kind].per_person else 1
        if sum(reply.kind == image.kind for reply in replies) < wanted:
            yield image.kind
