"""The sections ``cameras`` and ``limits``: which frames arrive, how they are delivered, and which are accepted."""

import re
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, field_serializer, model_validator

from edge_worker.common.image_formats import IMAGE_FORMATS, ImageFormat
from edge_worker.config.fields import (
    NODE_ID,
    CameraTopic,
    Megabytes,
    OneOrMore,
    PlainTopic,
    Qos,
    Seconds,
    Section,
    matching,
)
from edge_worker.config.output import OutputConfig

Delivery = Literal["latest", "every"]
MAX_PIXELS = 65_500**2  # both sides as long as the decoder accepts
SPLIT_PREFETCH = 20
"""Default with ``split``: frames held for other nodes count, and Mosquitto's own limit is 20."""
GroupName = Annotated[str, matching(r"[^/+#\s]{1,64}", "should be 1 to 64 characters without spaces, /, + and #")]
LIVE_MAX_AGE_S = 5.0  # an older live image is more misleading than useful


def _auto_or_nodes(value: object) -> object:
    if value == "auto":
        return value
    if not isinstance(value, list | tuple) or not value or not all(isinstance(one, str) for one in value):
        raise ValueError("should be auto or a list of node ids")
    if odd := [one for one in value if not re.fullmatch(NODE_ID, one)]:
        raise ValueError(f"should be node ids (node.id), and {odd[0]!r} is not one")
    return tuple(value)


class SplitConfig(Section):
    """Cameras divided among the nodes of a group by rendezvous hashing of their names."""

    group: GroupName
    members: Annotated[Literal["auto"] | tuple[str, ...], BeforeValidator(_auto_or_nodes)] = "auto"
    """``auto``: the nodes that are online in this group according to their retained status."""


class CameraConfig(Section):
    """One input subscription; ``outputs`` has only what differs from the section ``output``."""

    topic: CameraTopic = "cameras/{camera}/frame"
    delivery: Delivery = "latest"
    qos: Qos = 0
    """Default 1 if ``delivery`` is ``every``."""
    prefetch: Annotated[int, Field(ge=1, le=65535)] = 1
    share_group: GroupName | None = None
    split: SplitConfig | None = None
    reply_prefix: PlainTopic | None = None
    """Frames are requests: their results go only to their Response Topic, which must begin with this prefix."""
    max_age_s: Seconds | None = LIVE_MAX_AGE_S
    """Default ``null`` if ``delivery`` is ``every``."""
    min_interval_s: Annotated[float, Field(ge=0)] = 0.0
    outputs: OutputConfig = OutputConfig()

    @model_validator(mode="before")
    @classmethod
    def _fill_in_what_every_needs(cls, values: Any) -> Any:  # noqa: ANN401 - any value; the fields validate it
        if not isinstance(values, dict) or values.get("delivery") != "every":
            return values
        split = values.get("split")
        keeps = isinstance(split, dict) and split.get("members", "auto") == "auto"
        return {"qos": 1, "max_age_s": None, **({"prefetch": SPLIT_PREFETCH} if keeps else {}), **values}

    @property
    def keeps_for_others(self) -> bool:
        """Whether frames of other nodes' cameras are kept until they are answered."""
        return self.delivery == "every" and self.split is not None and self.split.members == "auto"

    @field_serializer("outputs")
    def _overrides_only(self, outputs: OutputConfig) -> dict[str, Any]:
        return outputs.model_dump(mode="json", exclude_unset=True)


class LimitsConfig(Section):
    """Limits on frames, all checked before decoding."""

    max_payload_mb: Megabytes = 16.0
    max_pixels: Annotated[int, Field(ge=1, le=MAX_PIXELS)] = 25_000_000
    formats: OneOrMore[ImageFormat] = IMAGE_FORMATS

    @property
    def max_payload_bytes(self) -> int:
        """``max_payload_mb`` in bytes."""
        return int(self.max_payload_mb * 1_000_000)
