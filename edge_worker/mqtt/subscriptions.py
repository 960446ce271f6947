"""What a worker subscribes to: said here once, for the worker and for whoever tries out its permissions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edge_worker.common.topics import Template
from edge_worker.mqtt.events import Subscription

if TYPE_CHECKING:
    from edge_worker.config import CameraConfig, Config


def own_subscriptions(config: Config) -> tuple[Subscription, ...]:
    """Our status, to notice when an old will or somebody else contradicts it; requests, where commands are taken."""
    node = config.node
    topics = (node.status_topic, *((node.request_topic,) if config.commands.enabled else ()))
    return tuple(Subscription(Template(topic, node=node.id).filter, 1) for topic in topics)


def camera_subscription(config: Config, camera: CameraConfig) -> Subscription:
    """Where the frames of a section *camera* of *config* arrive."""
    return Subscription(Template(camera.topic, node=config.node.id).filter, camera.qos, camera.share_group)
