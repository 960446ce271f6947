"""The entities of the worker's own device. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edge_worker.integrations.home_assistant.components import CONFIG, COUNTER, DIAGNOSTIC, SWITCH, SWITCHED

if TYPE_CHECKING:
    from edge_worker.integrations.home_assistant.components import Components, NodeTopics


def node_entities(topics: NodeTopics, *, commands: bool) -> Components:
    """Return the entities of the worker's own device; controls only if it accepts *commands*."""
    controls = _controls(topics) if commands else {}
    return {**_status(topics), **_statistics(topics), **controls}


def _status(topics: NodeTopics) -> Components:
    return {
        "state": {
            "platform": "sensor",
            **DIAGNOSTIC,
            "name": "State",
            "icon": "mdi:state-machine",
            "state_topic": topics.status,
            "value_template": "{{ value_json.state }}",
            "json_attributes_topic": topics.status,
        },
        "problem": {
            "platform": "binary_sensor",
            **DIAGNOSTIC,
            "name": "Problem",
            "device_class": "problem",
            "state_topic": topics.status,
            "value_template": "{{ 'ON' if value_json.state == 'degraded' else 'OFF' }}",
        },
        "update": {
            "platform": "update",
            **DIAGNOSTIC,
            "name": "Version",
            "state_topic": topics.status,
            "value_template": '{{ {"installed_version": value_json.version} | to_json }}',
        },
    }


def _statistics(topics: NodeTopics) -> Components:
    return {
        "fps": {
            "platform": "sensor",
            "name": "Frames per second",
            "icon": "mdi:speedometer",
            "state_class": "measurement",
            "unit_of_measurement": "fps",
            "suggested_display_precision": 2,
            "state_topic": topics.stats,
            "value_template": "{{ value_json.frames_per_s }}",
        },
        "dropped": {
            **COUNTER,
            "name": "Dropped frames",
            "icon": "mdi:image-off-outline",
            "state_topic": topics.stats,
            "value_template": "{{ value_json.total.dropped.values() | sum }}",
        },
    }


def _controls(topics: NodeTopics) -> Components:
    return {
        "pause": {
            **SWITCH,
            **CONFIG,
            "name": "Pause all cameras",
            "icon": "mdi:pause",
            "state_topic": topics.settings,
            "value_template": "{{ value_json.paused }}",
            "command_topic": topics.request("set"),
            "command_template": f'{{"paused": {SWITCHED}}}',
        },
        "restart": {
            "platform": "button",
            **CONFIG,
            "name": "Restart model",
            "device_class": "restart",
            "command_topic": topics.request("restart"),
            "payload_press": "{}",
        },
    }
