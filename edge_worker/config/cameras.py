"""The sections ``cameras`` and ``limits``: which frames arrive, how, and what a frame may be."""

from typing import Annotated, Any, Literal

from pydantic import Field, field_serializer, model_validator

from edge_worker.config.fields import CameraTopic, Megabytes, OneOrMore, PlainTopic, Qos, Seconds, Section, matching
from edge_worker.config.output import OutputConfig

Delivery = Literal["latest", "every"]
ImageFormat = Literal["jpeg", "png", "webp", "bmp"]
MAX_PIXELS = 65_500**2  # of an image with the longest sides that are decoded at all
LIVE_MAX_AGE_S = 5.0  # a live image older than this misleads more than it tells


class CameraConfig(Section):
    """One input subscription; ``outputs`` holds only what differs from the section ``output``."""

    topic: CameraTopic = "cameras/{camera}/frame"
    delivery: Delivery = "latest"
    qos: Qos = 0
    """1 where ``delivery`` is ``every`` and no QoS is given."""
    prefetch: Annotated[int, Field(ge=1, le=65535)] = 1
    share_group: (
        Annotated[str, matching(r"[^/+#\s]{1,64}", "should be 1 to 64 characters without spaces, /, + and #")] | None
    ) = None
    reply_prefix: PlainTopic | None = None
    """Makes frames requests: results go to the Response Topic that a frame names under this, and nowhere else."""
    max_age_s: Seconds | None = LIVE_MAX_AGE_S
    """``null`` where ``delivery`` is ``every``."""
    min_interval_s: Annotated[float, Field(ge=0)] = 0.0
    outputs: OutputConfig = OutputConfig()

    @model_validator(mode="before")
    @classmethod
    def _fill_in_what_every_needs(cls, values: Any) -> Any:  # noqa: ANN401 - whatever was written; the fields judge it
        if not isinstance(values, dict) or values.get("delivery") != "every":
            return values
        return {"qos": 1, "max_age_s": None, **values}

    @field_serializer("outputs")
    def _overrides_only(self, outputs: OutputConfig) -> dict[str, Any]:
        return outputs.model_dump(mode="json", exclude_unset=True)


class LimitsConfig(Section):
    """What a frame may be; all are checked before it is decoded."""

    max_payload_mb: Megabytes = 16.0
    max_pixels: Annotated[int, Field(ge=1, le=MAX_PIXELS)] = 25_000_000
    formats: OneOrMore[ImageFormat] = ("jpeg", "png", "webp", "bmp")

    @property
    def max_payload_bytes(self) -> int:
        """``max_payload_mb`` in bytes."""
        return int(self.max_payload_mb * 1_000_000)
