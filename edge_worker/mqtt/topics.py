"""Topic templates and filters. Pure."""

from __future__ import annotations


class Template:
    """A topic with ``{camera}`` and ``{node}`` in it. Raises ValueError, fit for an operator, when it is not one."""

    def __init__(self, text: str, *, node: str = "") -> None:
        """Read *text*; ``{node}`` becomes *node*."""

    @property
    def filter(self) -> str:
        """The subscription filter: ``{camera}`` becomes ``+``."""
        raise NotImplementedError

    def match(self, topic: str) -> str | None:
        """Name the camera of *topic*, or None where the topic is not of this template."""
        raise NotImplementedError

    def format(self, *, camera: str = "") -> str:
        """Give the topic of *camera*."""
        raise NotImplementedError


def overlaps(first: str, second: str) -> bool:
    """Tell whether some topic matches both filters."""
    raise NotImplementedError
