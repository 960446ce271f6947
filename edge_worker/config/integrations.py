"""The section ``integrations``: systems that this worker announces itself to."""

from typing import Annotated

from pydantic import AfterValidator, Field

from edge_worker.config.fields import PlainTopic, Section

CameraName = Annotated[str, Field(min_length=1)]
PartName = Annotated[str, Field(min_length=1)]


def _without_slash_at_the_end(prefix: str) -> str:
    if prefix.endswith("/"):
        raise ValueError("should not end with /, as in Home Assistant")
    return prefix


class HomeAssistantConfig(Section):
    """Discovery by Home Assistant: under which ``prefix``, of which cameras, with which parts of persons counted."""

    enabled: bool = False
    prefix: Annotated[PlainTopic, AfterValidator(_without_slash_at_the_end)] = "homeassistant"
    cameras: tuple[CameraName, ...] | None = None
    """``null``: each camera, once it has sent a frame."""
    parts: tuple[PartName, ...] = ()
    """Names of classes, as on the model card; each gets a sensor that counts the persons who show it."""


class IntegrationsConfig(Section):
    """Systems that this worker announces itself to."""

    home_assistant: HomeAssistantConfig = HomeAssistantConfig()
