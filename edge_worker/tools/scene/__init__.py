"""The drawn street with walking people: what the demo's camera sees when there is no camera."""

from edge_worker.tools.scene.scene import Scene

__all__ = ["Scene"]
