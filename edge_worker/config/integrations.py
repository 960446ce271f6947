"""The section ``integrations``: systems that this worker announces itself to."""

from typing import Annotated

from pydantic import Field

from edge_worker.config.fields import PlainTopic, Section, matching

CameraName = Annotated[str, Field(min_length=1)]
PartName = Annotated[str, Field(min_length=1)]
_NO_SLASH_AT_THE_END = matching(".*[^/]", "should not end with /, as in Home Assistant")


class HomeAssistantConfig(Section):
    """Discovery by Home Assistant: under which ``prefix``, of which cameras, with which parts of persons counted."""

    enabled: bool = False
    prefix: Annotated[PlainTopic, _NO_SLASH_AT_THE_END] = "homeassistant"
    cameras: tuple[CameraName, ...] | None = None
    """``null``: each camera, once it has sent a frame."""
    parts: tuple[PartName, ...] = ()
    """Names of classes, as on the model card; each gets a sensor that counts the persons who show it."""


class IntegrationsConfig(Section):
    """Systems that this worker announces itself to."""

    home_assistant: HomeAssistantConfig = HomeAssistantConfig()
