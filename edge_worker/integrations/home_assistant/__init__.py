"""Discovery by Home Assistant: the node and each camera as a device (docs/home-assistant.md)."""

from edge_worker.integrations.home_assistant.announcer import HomeAssistant
from edge_worker.integrations.home_assistant.memory import Memory

__all__ = ["HomeAssistant", "Memory"]
