"""What a worker subscribes to, defined once for the worker and for `check --connect`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edge_worker.common.topics import Template, filter_of_all_nodes
from edge_worker.mqtt.message import Subscription

if TYPE_CHECKING:
    from edge_worker.config import CameraConfig, Config


def own_subscriptions(config: Config) -> tuple[Subscription, ...]:
    """Our status, to notice when an old will or somebody else contradicts it; requests, where commands are taken.

    Where cameras are divided with other nodes, their statuses as well.
    """
    node = config.node
    status = Subscription(Template(node.status_topic, node=node.id).filter, 1)
    if any(camera.split is not None and camera.split.members == "auto" for camera in config.cameras):
        status = statuses_subscription(config)
    if not config.commands.enabled:
        return (status,)
    return (status, Subscription(Template(node.request_topic, node=node.id).filter, 1))


def statuses_subscription(config: Config) -> Subscription:
    """The statuses of all nodes, those that are retained after whatever the broker has in its queue for us."""
    return Subscription(filter_of_all_nodes(config.node.status_topic), 1, retained_at_reconnect=True)


def answered_subscription(config: Config) -> Subscription:
    """Which frames other nodes have answered."""
    return Subscription(filter_of_all_nodes(config.node.answered_topic), 1)


def camera_subscription(config: Config, camera: CameraConfig) -> Subscription:
    """Where the frames of a section *camera* of *config* arrive."""
    return Subscription(Template(camera.topic, node=config.node.id).filter, camera.qos, camera.share_group)
