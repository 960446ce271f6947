"""Which topics meet: inputs that overlap, and messages of ours that would come back to us as frames."""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING

from edge_worker.config.tree import Problem, dotted
from edge_worker.mqtt.topics import Template, overlaps

if TYPE_CHECKING:
    from collections.abc import Iterator

    from edge_worker.config.sections import Config

_NODE_TOPICS = ("status_topic", "model_topic", "stats_topic", "response_topic")


def check_topics(config: Config) -> Iterator[Problem]:
    """Yield a problem for each pair of topics that must not meet."""
    inputs = {("cameras", index, "topic"): camera.topic for index, camera in enumerate(config.cameras)}
    requests = {("node", "request_topic"): config.node.request_topic}
    taken = {place: _filter(topic, config) for place, topic in (inputs | requests).items()}
    for (first, one), (second, other) in combinations(taken.items(), 2):
        if overlaps(one, other):
            yield Problem(first, f"overlaps {dotted(second)}: some messages would match both, and be taken twice")
    for place, topic in taken.items():
        for sent in _sent(config):
            if overlaps(topic, sent):
                yield Problem(place, f"would also take what this worker itself publishes to {sent}")
    yield from _answers(config)


def _filter(template: str, config: Config) -> str:
    return Template(template, node=config.node.id).filter


def _sent(config: Config) -> Iterator[str]:
    """Yield a filter for each kind of message that this worker publishes."""
    yield from (_filter(getattr(config.node, name), config) for name in _NODE_TOPICS)
    for outputs in map(config.outputs_for, config.cameras):
        yield from (_filter(result.topic, config) for result in outputs.all_results().values())
    if config.commands.response_prefix is not None:
        yield config.commands.response_prefix + "#"


def _answers(config: Config) -> Iterator[Problem]:
    for one, other in combinations(_NODE_TOPICS, 2):
        if getattr(config.node, one) == getattr(config.node, other):
            yield Problem(("node", other), f"is the topic of node.{one}, too: each message needs its own")
    prefix = config.commands.response_prefix
    if prefix is not None and not prefix.endswith("/"):
        yield Problem(("commands", "response_prefix"), "should end with /, or it allows more than it says")
