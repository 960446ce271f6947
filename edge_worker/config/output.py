"""The section ``output``: what is published for a frame."""

from typing import Annotated, Literal

from pydantic import Field

from edge_worker.config.fields import CameraTopic, Fraction, PersonTopic, Qos, Section


class ResultConfig(Section):
    """What all kinds of result have in common."""

    enabled: bool = True
    topic: CameraTopic
    qos: Qos = 1
    retain: bool = False


class ColormapConfig(ResultConfig):
    """The label map as an image."""

    topic: CameraTopic = "parsing/{camera}/colormap"
    format: Literal["palette-png", "rgb-png", "jpeg"] = "palette-png"


class LabelsConfig(ResultConfig):
    """Labels, persons and their parts, as JSON."""

    topic: CameraTopic = "parsing/{camera}/labels"
    masks: Literal["none", "rle"] = "none"
    instances: Literal["none", "raw"] = "none"


class OverlayConfig(ResultConfig):
    """The frame with the colours blended in, for people."""

    enabled: bool = False
    topic: CameraTopic = "parsing/{camera}/overlay"
    alpha: Fraction = 0.5
    quality: Annotated[int, Field(ge=1, le=100)] = 85


class CropsConfig(ResultConfig):
    """Each person cut out of the frame, for people."""

    enabled: bool = False
    topic: PersonTopic = "parsing/{camera}/crop/{person}"
    quality: Annotated[int, Field(ge=1, le=100)] = 85


class ErrorConfig(Section):
    """The reply to a frame that could not be parsed."""

    topic: CameraTopic = "parsing/{camera}/error"
    qos: Qos = 1


class OutputConfig(Section):
    """What is published for a frame."""

    colormap: ColormapConfig = ColormapConfig()
    labels: LabelsConfig = LabelsConfig()
    overlay: OverlayConfig = OverlayConfig()
    crops: CropsConfig = CropsConfig()
    error: ErrorConfig = ErrorConfig()
    result_expiry_s: Annotated[int, Field(ge=1, le=0xFFFF_FFFF)] | None = None

    def all_results(self) -> dict[str, ResultConfig | ErrorConfig]:
        """Return the sections of all kinds of result by name, enabled or not."""
        sections = {name: getattr(self, name) for name in type(self).model_fields}
        return {name: section for name, section in sections.items() if isinstance(section, ResultConfig | ErrorConfig)}

    def enabled(self) -> dict[str, ResultConfig]:
        """Return the sections of the enabled kinds of result by name."""
        sections = self.all_results()
        return {name: one for name, one in sections.items() if isinstance(one, ResultConfig) and one.enabled}
