"""What is said of a device to Home Assistant, by its rules as its source has them."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from edge_worker.config import Config
from edge_worker.integrations.home_assistant.discovery import Device, Discovery

ODD_NAME = 'höf {{ states() }} "1"'
TOP_LEVEL = {"device", "origin", "components", "availability_topic", "availability_template"}
"""Home Assistant drops a message with a key at the top that it does not know."""

CONTROLS = {"pause", "show_overlay", "min_interval", "score_threshold", "snapshot"}


def discovery(home_assistant: dict[str, Any] | None = None, **sections: Any) -> Discovery:  # noqa: ANN401 - of the configuration
    values = {
        "node": {"id": "box"},
        "mqtt": {"host": "127.0.0.1"},
        "integrations": {"home_assistant": {"enabled": True, **(home_assistant or {})}},
        **sections,
    }
    return Discovery(Config.model_validate_json(json.dumps(values)))


def message(device: Device) -> dict[str, Any]:
    return dict(json.loads(device.message({})))


@pytest.mark.parametrize("camera", [None, "door", ODD_NAME])
def test_a_message_keeps_the_rules(camera: str | None) -> None:
    """Known keys at the top, identifiers and origin, a platform and a unique id for each component."""
    made = discovery({"parts": ["Hat"]})
    device = made.node() if camera is None else made.camera(camera, 0)
    said = message(device)
    assert said.keys() == TOP_LEVEL
    assert said["device"]["identifiers"]
    assert said["origin"]["name"]
    assert re.fullmatch(r"homeassistant/device/[a-zA-Z0-9_-]+/config", device.topic)
    assert all(re.fullmatch("[a-zA-Z0-9_-]+", key) for key in said["components"])
    ids = [component["unique_id"] for component in said["components"].values()]
    assert len(set(ids)) == len(ids)
    assert all(component["platform"] for component in said["components"].values())


def test_a_camera_goes_through_its_worker() -> None:
    """``via_device`` is what the worker's own device is identified by."""
    made = discovery()
    assert [message(made.camera("door", 0))["device"]["via_device"]] == message(made.node())["device"]["identifiers"]


def test_every_kind_of_entity_is_there() -> None:
    """As the documentation lists them; pictures come from outside the discovery prefix."""
    made = discovery({"parts": ["Face", "T-shirt top"]})
    node = {key: one["platform"] for key, one in message(made.node())["components"].items()}
    camera = message(made.camera("door", 0))["components"]
    assert node == {
        **dict.fromkeys(("state", "fps", "dropped"), "sensor"),
        "problem": "binary_sensor",
        "update": "update",
        "pause": "switch",
        "restart": "button",
    }
    platforms = [one["platform"] for one in camera.values()]
    assert {kind: platforms.count(kind) for kind in platforms} == {
        "camera": 1,
        "image": 1,
        "sensor": 5,
        "binary_sensor": 1,
        "event": 1,
        "switch": 2,
        "number": 2,
        "button": 1,
    }
    assert (camera["map"]["image_topic"], camera["map"]["content_type"]) == ("parsing/door/colormap", "image/png")
    assert camera["occupancy"]["off_delay"] > 0


@pytest.mark.parametrize(
    ("sections", "gone"),
    [
        ({"commands": {"enabled": False}}, CONTROLS),
        ({"output": {"colormap": {"enabled": False}}}, {"map"}),
        ({"output": {"labels": {"enabled": False}}}, {"persons", "occupancy", "age"}),
        ({"cameras": [{"topic": "cameras/{camera}/frame", "outputs": {"colormap": {"enabled": False}}}]}, {"map"}),
    ],
)
def test_what_the_worker_does_not_publish_or_take_has_no_entity(sections: dict[str, Any], gone: set[str]) -> None:
    """Else it would be there for ever without a state."""
    every = message(discovery().camera("door", 0))["components"].keys()
    assert every - message(discovery(**sections).camera("door", 0))["components"].keys() == gone


def test_a_control_reads_and_writes_the_same_setting_of_its_camera() -> None:
    """Its state comes from the retained settings; its command is JSON that the worker reads, whatever the name."""
    components = message(discovery().camera(ODD_NAME, 0))["components"]
    for key, setting in (
        ("pause", "paused"),
        ("show_overlay", "overlay"),
        ("min_interval", "min_interval_s"),
        ("score_threshold", "score_threshold"),
    ):
        control = components[key]
        assert (control["state_topic"], control["command_topic"]) == (
            "edge-worker/box/settings",
            "edge-worker/box/request/set",
        )
        written = re.sub(r"\{\{.*?\}\}", "1", control["command_template"])
        assert json.loads(written) == {"camera": ODD_NAME, setting: 1}
        assert f".get('{setting}')" in control["value_template"]
    assert json.loads(components["snapshot"]["payload_press"]) == {"camera": ODD_NAME}


def test_a_component_that_is_gone_is_named_by_its_platform_alone() -> None:
    """That is how Home Assistant is told to remove it."""
    device = discovery().camera("door", 0)
    components = json.loads(device.message({"part_Hat": "sensor", "pause": "switch"}))["components"]
    assert components["part_Hat"] == {"platform": "sensor"}
    assert components["pause"]["command_topic"]
