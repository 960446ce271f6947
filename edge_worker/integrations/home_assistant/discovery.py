"""Discovery messages, from which Home Assistant creates a device and its entities. Pure."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from edge_worker import __version__
from edge_worker.integrations.home_assistant.camera_entities import CameraEntities
from edge_worker.integrations.home_assistant.components import Components, NodeTopics
from edge_worker.integrations.home_assistant.names import camera_id, node_id
from edge_worker.integrations.home_assistant.node_entities import node_entities

if TYPE_CHECKING:
    from collections.abc import Mapping

    from edge_worker.config import Config

_AVAILABLE: Final = "{{ 'online' if value_json.state in ('online', 'degraded') else 'offline' }}"


@dataclass(frozen=True, slots=True)
class Device:
    """A device to announce; ``camera`` is None for the worker's own."""

    topic: str
    camera: str | None
    facts: dict[str, Any]
    components: Components

    @property
    def platforms(self) -> dict[str, str]:
        """The platform of each component, which a message must name to remove it."""
        return {key: component["platform"] for key, component in self.components.items()}

    def message(self, earlier: Mapping[str, str]) -> bytes:
        """Return the payload; *earlier* components that are gone are removed, by naming only their platform."""
        gone = {key: {"platform": platform} for key, platform in earlier.items() if key not in self.components}
        return json.dumps(self.facts | {"components": gone | self.components}, ensure_ascii=False).encode()


class Discovery:
    """Describes the devices of one worker."""

    def __init__(self, config: Config) -> None:
        """*config* has the worker's topics, and the prefix where Home Assistant looks for devices."""
        self._config, self._section = config, config.integrations.home_assistant
        self._node = config.node.id
        self.topics = NodeTopics.of(config)

    @property
    def birth_topic(self) -> str:
        """Where Home Assistant announces that it has started."""
        return f"{self._section.prefix}/status"

    def topic(self, camera: str | None) -> str:
        """Return the topic that announces the device of *camera*; None: the worker's own."""
        device = node_id(self._node) if camera is None else camera_id(self._node, camera)
        return f"{self._section.prefix}/device/{device}/config"

    def shows(self, camera: str) -> bool:
        """Whether *camera* is to be shown according to the configuration."""
        return self._section.cameras is None or camera in self._section.cameras

    def node(self) -> Device:
        """Return the worker's own device."""
        facts = {"name": f"edge-worker {self._node}", "model": "edge-worker", "sw_version": __version__}
        return self._device(None, facts, node_entities(self.topics, commands=self._config.commands.enabled))

    def camera(self, camera: str, source: int) -> Device:
        """Return the device of *camera*, whose frames arrive by the camera section at index *source*."""
        outputs = self._config.outputs_for(self._config.cameras[source])
        entities = CameraEntities(self.topics, outputs, node=self._node, camera=camera)
        components = entities.all(self._section.parts, commands=self._config.commands.enabled)
        facts = {"name": camera, "model": "Camera", "via_device": node_id(self._node)}
        return self._device(camera, facts, components)

    def _device(self, camera: str | None, facts: dict[str, str], components: Components) -> Device:
        identifier = node_id(self._node) if camera is None else camera_id(self._node, camera)
        shared = {
            "device": {"identifiers": [identifier], "manufacturer": "edge-worker", **facts},
            "origin": {"name": "edge-worker", "sw_version": __version__},
            "availability_topic": self.topics.status,
            "availability_template": _AVAILABLE,
        }
        named = {key: {**one, "unique_id": f"{identifier}_{key}"} for key, one in components.items()}
        return Device(self.topic(camera), camera, shared, named)
