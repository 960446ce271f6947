"""The reply to a frame: labels, or an error."""

from typing import Annotated, Literal

from pydantic import Field

from edge_worker.frames.frame import RejectionReason
from edge_worker.inference.types import ModelCardFacts
from edge_worker.messages.base import Count, Detail, Message, Quantity, Score, Time

LABELS_SCHEMA: Literal["edge-worker.labels/1"] = "edge-worker.labels/1"
ERROR_SCHEMA: Literal["edge-worker.error/1"] = "edge-worker.error/1"

Side = Annotated[int, Field(ge=1)]
Box = tuple[Count, Count, Side, Side]
"""``[x, y, width, height]`` in pixels of the displayed image; x and y of the top left corner."""
Colour = Annotated[str, Field(pattern="^#[0-9a-f]{6}$")]
Digest = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


class ImageSize(Message):
    """Size of the image in displayed orientation (EXIF applied), pixels."""

    width: Side
    height: Side


class ModelName(Message):
    """The model that was run, with its engine and precision."""

    name: str
    sha256: Digest
    engine: str
    precision: str

    @classmethod
    def of(cls, card: ModelCardFacts) -> "ModelName":
        """Return the model that *card* describes."""
        return cls(name=card.name, sha256=card.sha256, engine=card.engine, precision=card.precision)


class Timings(Message):
    """Milliseconds spent on the frame, by stage; a cached result has only ``queued`` and ``total``."""

    queued: Quantity = 0.0
    decode: Quantity = 0.0
    preprocess: Quantity = 0.0
    inference: Quantity = 0.0
    postprocess: Quantity = 0.0
    render: Quantity = 0.0
    encode: Quantity = 0.0
    total: Quantity = 0.0


class RunLengths(Message):
    """A mask as COCO's compressed run lengths, as pycocotools' ``mask.decode`` accepts them."""

    size: tuple[Side, Side]
    """Height, width."""
    counts: str


class LabelMessage(Message):
    """A class present in the image, except the background."""

    id: Count
    name: str
    color: Colour
    pixels: Annotated[int, Field(ge=1)]
    fraction: Score
    """Its share of the image's pixels."""
    score: Score
    box: Box


class PartMessage(Message):
    """The pixels of one class inside a person."""

    id: Count
    name: str
    score: Score
    box: Box
    pixels: Annotated[int, Field(ge=1)]
    rle: RunLengths | None = None


class PersonMessage(Message):
    """A person; no pixel belongs to two of them. Ids are numbered within the frame, highest score first."""

    id: Count
    score: Score
    box: Box
    pixels: Annotated[int, Field(ge=1)]
    parts: Annotated[tuple[PartMessage, ...], Field(fail_fast=True)]
    rle: RunLengths | None = None


class UnassignedMessage(Message):
    """Label-map pixels of a class outside every person."""

    id: Count
    name: str
    pixels: Annotated[int, Field(ge=1)]


class InstanceMessage(Message):
    """A candidate of the model, before each pixel is given to one person; candidates may overlap."""

    kind: Literal["part", "person"]
    id: Count
    name: str
    score: Score
    box: Box
    pixels: Annotated[int, Field(ge=1)]
    rle: RunLengths | None = None


class LabelsBody(Message):
    """The part of the labels message that depends on the image alone: what the model process returns."""

    image: ImageSize
    labels: Annotated[tuple[LabelMessage, ...], Field(fail_fast=True)]  # fail_fast: each error takes a kilobyte
    """Largest first."""
    persons: Annotated[tuple[PersonMessage, ...], Field(fail_fast=True)]
    unassigned: Annotated[tuple[UnassignedMessage, ...], Field(fail_fast=True)]
    instances: Annotated[tuple[InstanceMessage, ...], Field(fail_fast=True)] | None = None


class FrameFacts(Message):
    """Facts about a frame, common to all replies."""

    schema_: str = Field(alias="schema")
    node: str
    camera: str
    frame_id: str
    captured_at: Time | None = None
    """The sender's time of capture, if it sent a valid one."""
    received_at: Time
    published_at: Time
    redelivered: bool = False
    """The broker delivered the frame again: a reply with this ``frame_id`` may have been published already."""


class LabelsMessage(LabelsBody, FrameFacts):
    """What was found in a frame. Published after the images, so that it marks the results as complete."""

    schema_: Literal["edge-worker.labels/1"] = Field(LABELS_SCHEMA, alias="schema")
    model: ModelName
    timings_ms: Timings
    age_ms: float
    """From capture (or reception, if the sender gave no plausible time) to publication."""
    cached: bool = False
    """The same bytes had been parsed before: the result is from the cache."""


class ErrorMessage(FrameFacts):
    """Why a frame got no labels."""

    schema_: Literal["edge-worker.error/1"] = Field(ERROR_SCHEMA, alias="schema")
    reason: RejectionReason
    detail: Detail
