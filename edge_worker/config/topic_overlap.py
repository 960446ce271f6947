"""Topics that overlap: of two inputs, or of an input and an output of the worker."""

from __future__ import annotations

from itertools import combinations, product
from typing import TYPE_CHECKING

from edge_worker.common.topics import Template, overlaps
from edge_worker.config.checks import place_of
from edge_worker.config.tree import Location, Problem, dotted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from edge_worker.config.sections import Config

_NODE_TOPICS = ("status_topic", "model_topic", "stats_topic", "settings_topic", "answered_topic")
_HOME_ASSISTANT = ("integrations", "home_assistant", "prefix")


def check_topics(config: Config) -> Iterator[Problem]:
    """Yield a problem for each pair of topics that must not overlap."""
    taken = dict(_taken(config))
    for (first, one), (second, other) in combinations(taken.items(), 2):
        if overlaps(one, other):
            yield Problem(first, f"overlaps {dotted(second)}: some messages would match both, and be taken twice")
    for (place, topic), (key, sent) in product(taken.items(), dict(_sent(config)).items()):
        if overlaps(topic, sent):
            yield Problem(place, f"would also take what this worker itself publishes to {sent} ({dotted(key)})")
    yield from _private(config)
    yield from _answers(config)
    yield from _home_assistant(config)


def _taken(config: Config) -> Iterator[tuple[Location, str]]:
    """Yield the key and the filter of each subscription of this worker, commands only if enabled."""
    for index, camera in enumerate(config.cameras):
        yield ("cameras", index, "topic"), _filter(camera.topic, config)
    if config.commands.enabled:
        yield ("node", "request_topic"), _filter(config.node.request_topic, config)


def _sent(config: Config) -> Iterator[tuple[Location, str]]:
    """Yield the key and a filter for each kind of message that this worker publishes."""
    for name in _node_topics(config):
        yield ("node", name), _filter(getattr(config.node, name), config)
    for index, camera in enumerate(config.cameras):
        if camera.reply_prefix is not None:
            yield ("cameras", index, "reply_prefix"), camera.reply_prefix + "#"
            continue
        for kind, result in config.outputs_for(camera).all_results().items():
            yield place_of(config, index, kind, "topic"), _filter(result.topic, config)
    if config.commands.enabled and config.commands.response_prefix is not None:
        yield ("commands", "response_prefix"), config.commands.response_prefix + "#"
    if config.integrations.home_assistant.enabled:
        yield _HOME_ASSISTANT, config.integrations.home_assistant.prefix + "/#"


def _home_assistant(config: Config) -> Iterator[Problem]:
    """Yield a problem for results published below the prefix, where Home Assistant may read every message."""
    sent = dict(_sent(config))
    prefix = sent.pop(_HOME_ASSISTANT, None)
    for key, topic in sent.items():
        if prefix is not None and overlaps(prefix, topic):
            yield Problem(key, f"is below {dotted(_HOME_ASSISTANT)}, where Home Assistant looks for devices only")


def _private(config: Config) -> Iterator[Problem]:
    """Yield a problem if a requester could have its results published on a topic that others read."""
    sent = dict(_sent(config))
    private = {place: filter_ for place, filter_ in sent.items() if place[-1] == "reply_prefix"}
    for (place, prefix), (key, other) in product(private.items(), sent.items()):
        if key not in private and overlaps(prefix, other):
            yield Problem(place, f"includes topics that {dotted(key)} publishes to: others could read results")


def _node_topics(config: Config) -> tuple[str, ...]:
    return (*_NODE_TOPICS, *(["response_topic"] if config.commands.enabled else []))


def _filter(template: str, config: Config) -> str:
    return Template(template, node=config.node.id).filter


def _answers(config: Config) -> Iterator[Problem]:
    for one, other in combinations(_node_topics(config), 2):
        if getattr(config.node, one) == getattr(config.node, other):
            yield Problem(("node", other), f"is the topic of node.{one}, too: each message needs its own")
    prefix = config.commands.response_prefix
    if prefix is not None and not prefix.endswith("/"):
        yield Problem(("commands", "response_prefix"), "should end with /, or it allows more than it says")
