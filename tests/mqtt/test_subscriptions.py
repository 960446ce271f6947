"""What a worker subscribes to."""

from __future__ import annotations

from edge_worker.config import CameraConfig, CommandsConfig, Config, MqttConfig, NodeConfig
from edge_worker.mqtt.message import Subscription
from edge_worker.mqtt.subscriptions import camera_subscription, own_subscriptions

STATUS, REQUESTS = Subscription("edge-worker/box/status", 1), Subscription("edge-worker/box/request/+", 1)


def make_config(**commands: bool) -> Config:
    """The configuration of a node named box."""
    return Config(
        node=NodeConfig(id="box"), mqtt=MqttConfig(host="localhost"), commands=CommandsConfig.model_validate(commands)
    )


def test_requests_are_subscribed_to_unless_they_are_turned_off() -> None:
    """The status always is: somebody may contradict it."""
    assert own_subscriptions(make_config()) == (STATUS, REQUESTS)
    assert own_subscriptions(make_config(enabled=False)) == (STATUS,)


def test_frames_come_as_the_camera_says() -> None:
    """With its quality of service and its share group."""
    camera = CameraConfig(topic="{node}/{camera}/frame", qos=1, delivery="every", share_group="parsers")
    assert camera_subscription(make_config(), camera) == Subscription("box/+/frame", 1, "parsers")
