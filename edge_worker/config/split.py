"""Checks of ``cameras[].split``, which divides cameras among nodes: what is wrong, and what is unwise."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from edge_worker.config.tree import Problem

if TYPE_CHECKING:
    from collections.abc import Iterator

    from edge_worker.config.sections import Config

_SETTLE_S: Final = 2.0
_BROKER_S: Final = 7.0
"""Mosquitto 2.0 checks for clients that are silent for too long every six seconds, and counts in whole seconds."""
_SHORTEST_KEEPALIVE_S: Final = 2


def check_split(config: Config, index: int) -> Iterator[Problem]:
    """Yield what contradicts the key ``split`` of the camera section at *index*."""
    camera, place = config.cameras[index], ("cameras", index, "split")
    if camera.split is None:
        return
    if camera.share_group is not None or camera.reply_prefix is not None:
        other = "share_group" if camera.share_group is not None else "reply_prefix"
        yield Problem(
            place, f"cannot be combined with {other}, which gives a node only some of the frames: delete one of the two"
        )
    if "{node}" in camera.topic:
        yield Problem(place, f"needs a topic that all nodes subscribe to, without {{node}}: {camera.topic}")
    if camera.split.members == "auto":
        yield from _auto(config, index)
    elif config.node.id not in camera.split.members:
        listed = ", ".join(camera.split.members)
        problem = f"should name this node, {config.node.id} (node.id): it would get no camera of {listed}"
        yield Problem((*place, "members"), problem)
    elif len(set(camera.split.members)) < len(camera.split.members):
        yield Problem((*place, "members"), "names a node twice")


def _auto(config: Config, index: int) -> Iterator[Problem]:
    """Members are found by their status; ``every`` frames are kept until a node publishes that they are answered."""
    camera = config.cameras[index]
    keys = ("status_topic", "answered_topic") if camera.keeps_for_others else ("status_topic",)
    for key in keys:
        topic: str = getattr(config.node, key)
        if topic.split("/").count("{node}") != 1 or topic.count("{node}") != 1:
            yield Problem(
                ("node", key), "should hold {node} once, as a level of its own, to find the members of a group"
            )
    if not config.node.retain:
        yield Problem(("node", "retain"), "should be true with cameras[].split: members are found by what is retained")
    if camera.keeps_for_others and camera.max_age_s is not None:
        problem = "should be null with split and delivery: every, where a frame is kept until it is answered"
        yield Problem(("cameras", index, "max_age_s"), problem)


def doubts(config: Config) -> Iterator[str]:
    """Yield a line for each setting that may not work as expected; each begins with its key."""
    for index, camera in enumerate(config.cameras):
        if camera.split is None:
            continue
        if camera.split.members != "auto":
            if len(camera.split.members) == 1:
                yield f"cameras[{index}].split.members: a group of one: this node takes every camera"
        elif (late_s := moves_after_s(config) - 2 * config.mqtt.keepalive_s) > 0:
            key = (
                "will_delay_s: is too long for keepalive_s"
                if late_s <= config.mqtt.will_delay_s
                else "keepalive_s: is too short"
            )
            yield f"mqtt.{key}: the cameras of a node that is lost may move {late_s:g} s later than 2 × keepalive_s"


def settle_s(config: Config) -> float:
    """Return the seconds to wait before the cameras of a lost node move, because it may be about to come back."""
    return min(_SETTLE_S, 0.2 * config.mqtt.keepalive_s)


def control_keepalive_s(config: Config) -> int:
    """Return the keepalive of the link with the will, which must reach other nodes within 2 × ``mqtt.keepalive_s``."""
    keepalive_s = config.mqtt.keepalive_s
    if not config.groups:
        return keepalive_s
    left_s = 2 * keepalive_s - _BROKER_S - config.mqtt.will_delay_s - settle_s(config)
    return min(keepalive_s, max(_SHORTEST_KEEPALIVE_S, int(left_s / 1.5)))


def moves_after_s(config: Config) -> float:
    """Return the longest time until the cameras of a lost node have moved, in seconds."""
    return 1.5 * control_keepalive_s(config) + _BROKER_S + config.mqtt.will_delay_s + settle_s(config)
