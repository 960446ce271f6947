"""The entities of a camera's device. Pure."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from edge_worker.common.topics import Template
from edge_worker.inference.outputs import CONTENT_TYPES
from edge_worker.integrations.home_assistant.components import CONFIG, COUNTER, DIAGNOSTIC, SWITCH, SWITCHED
from edge_worker.integrations.home_assistant.names import component_id, quoted

if TYPE_CHECKING:
    from collections.abc import Iterable

    from edge_worker.config import OutputConfig
    from edge_worker.integrations.home_assistant.components import Components, NodeTopics

OFF_DELAY_S: Final = 60
"""After this time without a frame that shows somebody, a place no longer counts as occupied: its camera may be gone."""

_MAX_INTERVAL_S: Final = 86_400  # limit of the number field


class CameraEntities:
    """The entities of one camera at the worker whose topics are *topics*."""

    def __init__(self, topics: NodeTopics, outputs: OutputConfig, *, node: str, camera: str) -> None:
        """*outputs* are those of the camera section that receives the *camera*'s frames."""
        self._topics, self._outputs = topics, outputs
        self._node, self._camera, self._quoted = node, camera, quoted(camera)

    def all(self, parts: Iterable[str], *, commands: bool) -> Components:
        """Return all entities; a sensor for each of *parts*, and controls only if the worker accepts *commands*."""
        return {
            **self._images(),
            **(self._persons(parts) if self._outputs.labels.enabled else {}),
            **self._frames(),
            **(self._controls() if commands else {}),
        }

    def _topic(self, template: str) -> str:
        return Template(template, node=self._node).format(camera=self._camera)

    def _images(self) -> Components:
        colormap, overlay = self._outputs.colormap, self._outputs.overlay
        images: Components = {
            "overlay": {"platform": "camera", "name": "Overlay", "topic": self._topic(overlay.topic)},
            "map": {
                "platform": "image",
                "name": "Map",
                "image_topic": self._topic(colormap.topic),
                "content_type": CONTENT_TYPES[colormap.format],
            },
        }
        return images if colormap.enabled else {"overlay": images["overlay"]}

    def _persons(self, parts: Iterable[str]) -> Components:
        labels = self._topic(self._outputs.labels.topic)
        count = {"platform": "sensor", "state_class": "measurement", "state_topic": labels}
        parts_of_all = "value_json.persons | map(attribute='parts') | sum(start=[])"
        counted = {
            component_id("part", part): {
                **count,
                "name": f"Persons with {part}",
                "icon": "mdi:human",
                "value_template": f"{{{{ {parts_of_all} | selectattr('name', 'eq', {quoted(part)}) | list | count }}}}",
            }
            for part in parts
        }
        return {
            "persons": {
                **count,
                "name": "Persons",
                "icon": "mdi:account-multiple",
                "value_template": "{{ value_json.persons | count }}",
            },
            "occupancy": {
                "platform": "binary_sensor",
                "name": "Occupancy",
                "device_class": "occupancy",
                "state_topic": labels,
                "value_template": "{{ 'ON' if value_json.persons else 'OFF' }}",
                "off_delay": OFF_DELAY_S,
            },
            "age": {
                **count,
                **DIAGNOSTIC,
                "name": "Age of result",
                "device_class": "duration",
                "unit_of_measurement": "s",
                "suggested_display_precision": 2,
                "value_template": "{{ (value_json.age_ms / 1000) | round(3) }}",
            },
            **counted,
        }

    def _frames(self) -> Components:
        account = f"(value_json.cameras.get({self._quoted}) or {{}})"
        return {
            "dropped": {
                **COUNTER,
                "name": "Dropped frames",
                "icon": "mdi:image-off-outline",
                "state_topic": self._topics.stats,
                # Empty if the camera is not in the stats: a number would look like a reset of the counter.
                "value_template": f"{{% set account = {account} %}}"
                "{{ account.dropped.values() | sum if account else '' }}",
            },
            "frames": {
                "platform": "event",
                "name": "Frames without result",
                "icon": "mdi:image-broken-variant",
                "event_types": ["rejected", "poisoned"],
                "state_topic": self._topic(self._outputs.error.topic),
                "value_template": "{{ {'event_type': 'poisoned' if value_json.reason == 'poisoned' else 'rejected',"
                " 'reason': value_json.reason, 'detail': value_json.detail, 'frame_id': value_json.frame_id}"
                " | to_json }}",
            },
        }

    def _controls(self) -> Components:
        return {
            "pause": self._switch("Pause", "mdi:pause", "paused"),
            "show_overlay": self._switch("Overlay", "mdi:layers", "overlay"),
            "min_interval": {
                **self._number("Minimum interval", "min_interval_s"),
                "max": _MAX_INTERVAL_S,
                "step": 0.1,
                "device_class": "duration",
                "unit_of_measurement": "s",
            },
            "score_threshold": {**self._number("Score threshold", "score_threshold"), "max": 1, "step": 0.01},
            "snapshot": {
                "platform": "button",
                "name": "Snapshot",
                "icon": "mdi:camera",
                "command_topic": self._topics.request("snapshot"),
                "payload_press": json.dumps({"camera": self._camera}),
            },
        }

    def _switch(self, name: str, icon: str, key: str) -> dict[str, Any]:
        return {**SWITCH, "icon": icon, **self._setting(name, key, SWITCHED)}

    def _number(self, name: str, key: str) -> dict[str, Any]:
        return {"platform": "number", "min": 0, "mode": "box", **self._setting(name, key, "{{ value }}")}

    def _setting(self, name: str, key: str, value: str) -> dict[str, Any]:
        """Return the common part of entities that show the setting *key* and set it to *value*, a template."""
        return {
            **CONFIG,
            "name": name,
            "state_topic": self._topics.settings,
            "value_template": f"{{{{ (value_json.cameras.get({self._quoted}) or {{}}).get('{key}') }}}}",
            "command_topic": self._topics.request("set"),
            "command_template": f'{{"camera": {self._quoted}, "{key}": {value}}}',
        }
