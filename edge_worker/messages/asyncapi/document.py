"""The AsyncAPI 3.0 document: channels, operations and messages of a worker with the default topics.

Schemas come from the models; topics and QoS of frames and results from the configuration's defaults. Messages that the
worker sends unasked are compared with a running worker's by ``tests/end_to_end/test_asyncapi.py``.
"""

from __future__ import annotations

import inspect
import json
from typing import TYPE_CHECKING, Any, Final

from edge_worker import __version__
from edge_worker.config import CameraConfig, NodeConfig, OutputConfig
from edge_worker.config.output import ResultConfig
from edge_worker.messages.asyncapi import examples
from edge_worker.messages.asyncapi.message_objects import JSON, RESULTS, messages, mqtt, ref, schemas, traits
from edge_worker.messages.commands import COMMANDS

if TYPE_CHECKING:
    from collections.abc import Iterable

_REQUESTS = CameraConfig(
    topic="requests/{camera}/frame", delivery="every", share_group="requests", reply_prefix="replies/"
)
"""A section for requests, as in docs/topics.md; by default there is none."""

_FOR_NODES: Final = ("answered", "caught-up")

_PARAMETERS: Final = {
    "camera": {"description": "The camera's name: any one level.", "examples": ["front-door"]},
    "node": {"description": "The worker's `node.id`; the host's name by default.", "examples": ["box"]},
    "person": {"description": "The person's `id` in the labels of the frame.", "examples": ["0"]},
    "command": {"description": "The command's name.", "enum": list(COMMANDS)},
}


def document() -> dict[str, Any]:
    """Return the document as JSON values."""
    made = {
        "asyncapi": "3.0.0",
        "info": _info(),
        "defaultContentType": JSON,
        "servers": {"broker": _server()},
        "channels": {name: _channel(*parts) for name, parts in _channels().items()},
        "operations": {**_frame_operations(), **_node_operations(), **_command_operations()},
        "components": {
            "parameters": _PARAMETERS,
            "messageTraits": traits(str(_REQUESTS.reply_prefix)),
            "messages": messages(),
            "schemas": schemas(),
        },
    }
    return dict(json.loads(json.dumps(made)))  # copies shared objects, which YAML would write as anchors


def _info() -> dict[str, Any]:
    return {
        "title": "edge_worker",
        "version": __version__,
        "description": "Human parsing over MQTT: frames in, coloured part maps and labels out. Topics, QoS and retain "
        "are those of the default configuration. Headers are MQTT 5 user properties; MQTT 3.1.1 has none. "
        "The rules behind the messages are in docs/topics.md.",
        "license": {"name": "Apache-2.0", "url": "https://www.apache.org/licenses/LICENSE-2.0"},
    }


def _server() -> dict[str, Any]:
    node = NodeConfig(id="box")
    will = {"topic": node.status_topic.replace("{node}", node.id), "qos": 1, "retain": node.retain}
    lost = examples.PAYLOADS["status"] | {"state": "offline", "reason": "lost"}
    binding = {"clientId": "edge-worker-box", "lastWill": {**will, "message": json.dumps(lost)}}
    return {
        "host": "localhost:1883",
        "protocol": "mqtt",
        "protocolVersion": "5.0",
        "description": "Any broker that speaks MQTT 5 or 3.1.1; 8883 with TLS.",
        "bindings": mqtt(binding),
    }


def _channels() -> dict[str, tuple[str | None, str, Iterable[str]]]:
    """Return each channel's address, purpose and message names, by its name."""
    node, output = NodeConfig(), OutputConfig()
    results = {kind: (getattr(output, kind).topic, f"The {kind} of frames.", [kind]) for kind in RESULTS}
    return {
        "frames": (CameraConfig().topic, "Frames from cameras.", ["image", "envelope"]),
        "requests": (_REQUESTS.topic, "Frames as requests, if a camera section has `reply_prefix`.", ["request"]),
        "replies": (None, "The Response Topic of a request, below `reply_prefix`; labels or error last.", RESULTS),
        **results,
        "status": (node.status_topic, "The worker's state; retained, and the last will.", ["status"]),
        "model": (node.model_topic, "The model card; retained.", ["model"]),
        "stats": (node.stats_topic, "Statistics, every `ops.stats_interval_s`.", ["stats"]),
        "settings": (node.settings_topic, "Settings of cameras; retained, only with an integration.", ["settings"]),
        "answered": (node.answered_topic, "For other nodes, if a camera section has `split`.", _FOR_NODES),
        "commands": (node.request_topic, "Commands, if `commands.enabled`.", COMMANDS),
        "responses": (node.response_topic, "Answers to commands.", ["response"]),
    }


def _channel(address: str | None, description: str, messages: Iterable[str]) -> dict[str, Any]:
    parameters = [name for name in _PARAMETERS if address and f"{{{name}}}" in address]
    return {
        "address": address,
        "description": description,
        "messages": {name: ref("components", "messages", name) for name in messages},
        **({"parameters": {name: ref("components", "parameters", name) for name in parameters}} if parameters else {}),
    }


def _frame_operations() -> dict[str, Any]:
    output, frames = OutputConfig(), CameraConfig()
    operations = {
        "receiveFrame": _operation("receive", "frames", ("image", "envelope"), qos=frames.qos),
        "receiveRequest": {
            **_operation("receive", "requests", ("request",), qos=_REQUESTS.qos),
            "reply": _via("replies", RESULTS),
        },
    }
    for kind in RESULTS:
        section = getattr(output, kind)
        retain = isinstance(section, ResultConfig) and section.retain
        operations[f"send{kind.title()}"] = _operation("send", kind, (kind,), qos=section.qos, retain=retain)
    return operations


def _node_operations() -> dict[str, Any]:
    retain = NodeConfig().retain
    return {
        "sendStatus": _operation("send", "status", ("status",), qos=1, retain=retain),
        "sendModel": _operation("send", "model", ("model",), qos=1, retain=retain),
        "sendStats": _operation("send", "stats", ("stats",), qos=0),
        "sendSettings": _operation("send", "settings", ("settings",), qos=1, retain=True),
        "sendAnswered": _operation("send", "answered", _FOR_NODES, qos=1),
    }


def _command_operations() -> dict[str, Any]:
    return {
        command: {
            **_operation("receive", "commands", (command,), qos=1),
            "summary": inspect.getdoc(model),
            "reply": _via("responses", ("response",)),
        }
        for command, model in COMMANDS.items()
    }


def _operation(action: str, channel: str, messages: Iterable[str], *, qos: int, retain: bool = False) -> dict[str, Any]:
    return {
        "action": action,
        **_via(channel, messages),
        "bindings": mqtt({"qos": qos, "retain": retain}),
    }


def _via(channel: str, messages: Iterable[str]) -> dict[str, Any]:
    return {
        "channel": ref("channels", channel),
        "messages": [ref("channels", channel, "messages", name) for name in messages],
    }
