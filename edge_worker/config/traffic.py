"""Which topics meet: inputs that overlap, and messages of ours that would come back to us as frames."""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING

from edge_worker.config.tree import Location, Problem, dotted
from edge_worker.mqtt.topics import overlaps

if TYPE_CHECKING:
    from collections.abc import Iterator

    from edge_worker.config.sections import Config

_NODE_TOPICS = ("status_topic", "model_topic", "stats_topic", "response_topic")


def check_topics(config: Config) -> Iterator[Problem]:
    """Yield a problem for each pair of topics that must not meet."""
    inputs = {("cameras", index, "topic"): camera.topic for index, camera in enumerate(config.cameras)}
    requests = {("node", "request_topic"): config.node.request_topic}
    taken = {place: topic_filter(topic, config.node.id) for place, topic in (inputs | requests).items()}
    for (first, one), (second, other) in combinations(taken.items(), 2):
        if overlaps(one, other):
            yield Problem(first, f"overlaps {dotted(second)}: some messages would match both, and be taken twice")
    for place, topic in taken.items():
        for ours, sent in _sent(config):
            if overlaps(topic, topic_filter(sent, config.node.id)):
                yield Problem(place, f"also takes what this worker publishes itself to {sent} ({dotted(ours)})")
    yield from _node_topics(config)


def topic_filter(template: str, node: str) -> str:
    """Return the filter that matches all topics of *template*: ``+`` for each placeholder but ``{node}``."""
    return template.replace("{node}", node).replace("{camera}", "+").replace("{command}", "+")


def _sent(config: Config) -> Iterator[tuple[Location, str]]:
    for name in _NODE_TOPICS:
        yield ("node", name), getattr(config.node, name)
    if config.commands.response_prefix is not None:
        yield ("commands", "response_prefix"), config.commands.response_prefix + "#"
    templates = {
        getattr(config.outputs_for(camera), name).topic: ("output", name, "topic")
        for camera in config.cameras
        for name in ("colormap", "labels", "overlay", "error")
    }
    yield from ((place, topic) for topic, place in templates.items())


def _node_topics(config: Config) -> Iterator[Problem]:
    for one, other in combinations(_NODE_TOPICS, 2):
        if getattr(config.node, one) == getattr(config.node, other):
            yield Problem(("node", other), f"is the topic of node.{one}, too: each message needs its own")
    prefix = config.commands.response_prefix
    if prefix is not None and not prefix.endswith("/"):
        yield Problem(("commands", "response_prefix"), "should end with /, or it allows more than it says")
