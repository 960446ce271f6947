"""What the descriptions of all entities have in common, in Home Assistant's terms. Pure.

Templates run in Home Assistant. They read the messages of docs/topics.md and write requests to the command topics.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from edge_worker.common.topics import Template

if TYPE_CHECKING:
    from edge_worker.config import Config

Components = dict[str, dict[str, Any]]
"""The entities of a device, by a stable key."""

CONFIG: Final = {"entity_category": "config"}
DIAGNOSTIC: Final = {"entity_category": "diagnostic"}
SWITCH: Final = {"platform": "switch", "state_on": "True", "state_off": "False"}  # as Jinja renders booleans
SWITCHED: Final = '{{ "true" if value == "ON" else "false" }}'
"""Template that renders the wanted state of a switch as JSON."""
COUNTER: Final = {"platform": "sensor", "state_class": "total_increasing", **DIAGNOSTIC}


@dataclass(frozen=True, slots=True)
class NodeTopics:
    """The topics of one worker that its entities read and write."""

    status: str
    stats: str
    settings: str
    requests: Template

    @classmethod
    def of(cls, config: Config) -> NodeTopics:
        """Return the topics of the worker that *config* describes."""
        node = config.node
        status, stats, settings = (
            Template(topic, node=node.id).format()
            for topic in (node.status_topic, node.stats_topic, node.settings_topic)
        )
        return cls(status, stats, settings, Template(node.request_topic, node=node.id))

    def request(self, command: str) -> str:
        """Return the topic for requests of *command*."""
        return self.requests.format(command=command)
