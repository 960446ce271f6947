"""The section ``integrations``: systems that this worker announces itself to."""

from typing import Annotated

from pydantic import Field

from edge_worker.config.fields import PlainTopic, Section, matching

CameraName = Annotated[str, Field(min_length=1)]
PartName = Annotated[str, Field(min_length=1)]
_NO_SLASH_AT_THE_END = matching(".*[^/]", "should not end with /, as in Home Assistant")


class HomeAssistantConfig(Section):
    """Discovery by Home Assistant: topic prefix, cameras to announce, parts of persons to count."""

    enabled: bool = False
    prefix: Annotated[PlainTopic, _NO_SLASH_AT_THE_END] = "homeassistant"
    cameras: tuple[CameraName, ...] | None = None
    """``null``: each camera, once it has sent a frame."""
    parts: tuple[PartName, ...] = ()
    """Class names, as in the model card; each gets a sensor that counts the persons with this part."""


class IntegrationsConfig(Section):
    """Systems that this worker announces itself to."""

    home_assistant: HomeAssistantConfig = HomeAssistantConfig()
