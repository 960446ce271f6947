"""The messages of the document: payload, user properties, content type, example; and references to them."""

from __future__ import annotations

import inspect
from typing import Any, Final

from edge_worker.config import OutputConfig
from edge_worker.frames.envelope import MAX_FRAME_ID
from edge_worker.frames.request import KIND, MASKS, OUTPUTS, SCORE_THRESHOLD
from edge_worker.inference.outputs import CONTENT_TYPES, KINDS
from edge_worker.messages.asyncapi import examples
from edge_worker.messages.commands import COMMANDS
from edge_worker.messages.schemas import MESSAGES, components

JSON: Final = "application/json"
_BINDING_VERSION: Final = "0.2.0"  # of AsyncAPI's MQTT bindings
RESULTS: Final = (*sorted(KINDS, key=lambda kind: not KINDS[kind].required), "labels", "error")
"""The messages that answer a frame, by their keys below ``output``."""

_OF_THE_NODE: Final = ("status", "model", "stats", "settings", "answered", "caught-up", "response")

_IMAGES: Final = {
    **dict.fromkeys(("image", "request"), "image/jpeg"),
    **{name: CONTENT_TYPES[kind.request(OutputConfig()).format] for name, kind in KINDS.items()},
}
"""Content types of messages that are image files: the most common one, and those of the default settings."""

_TIME: Final = {"type": "string", "description": "RFC 3339, or seconds or milliseconds since 1970."}
_FRAME_ID: Final = {"type": "string", "minLength": 1, "maxLength": MAX_FRAME_ID}
_PIXELS: Final = {"type": "string", "pattern": "^[1-9][0-9]*$"}

_SUMMARIES: Final = {
    "image": "A JPEG, PNG, WebP or BMP file, recognised by its content.",
    "envelope": "An image in JSON, with its id and time.",
    "request": "An image whose results go to the Response Topic that it names.",
    **{name: kind.summary for name, kind in KINDS.items()},
}


def messages() -> dict[str, Any]:
    """Return all messages by name, with examples."""
    names = ("image", "envelope", "request", *RESULTS, *_OF_THE_NODE, *COMMANDS)
    return {name: _message(name) for name in names}


def schemas() -> dict[str, Any]:
    """Return the schemas of all JSON messages and of their parts."""
    return {**components(), "Envelope": _envelope()}


def _message(name: str) -> dict[str, Any]:
    model = MESSAGES.get(name) or COMMANDS.get(name)
    content_type = _IMAGES.get(name, JSON)
    schema = ref("components", "schemas", "Envelope" if model is None else model.__name__)
    shown = {"headers": examples.HEADERS.get(name), "payload": examples.PAYLOADS.get(name)}
    example = {key: value for key, value in shown.items() if value is not None}
    made = {
        "name": name,
        "summary": _SUMMARIES[name] if model is None else inspect.getdoc(model),
        "contentType": content_type,
        "payload": {"type": "string", "format": "binary"} if name in _IMAGES else schema,
        "traits": [ref("components", "messageTraits", trait) for trait in _traits_of(name)],
        "examples": [{"name": "example", **example}] if example else [],
    }
    return {key: value for key, value in made.items() if value}


def _traits_of(name: str) -> tuple[str, ...]:
    if name in {"image", "request"}:
        return ("sender",) if name == "image" else ("sender", "request")
    if name in RESULTS:
        return ("answer",) if name == "error" else ("answer", "size")
    return ("command",) if name in COMMANDS else ()


def traits(reply_prefix: str) -> dict[str, Any]:
    """Return what several messages have in common: user properties and correlation ids."""
    kinds = {KIND: {"enum": list(RESULTS), "description": "Only in answers to requests."}}
    command = {"correlationId": {"location": "$message.payload#/transaction"}}
    answer = {
        "frame-id": _FRAME_ID,
        "camera": {"type": "string"},
        "node": {"type": "string"},
        "captured-at": {"type": "string", "format": "date-time"},
        "schema": {"type": "string", "description": "Only of labels and errors."},
        **kinds,
        "person": {"type": "string", "description": "Only of images of one person, in answers to requests."},
    }
    wishes = {
        OUTPUTS: {"type": "string", "description": "Requested kinds of image, separated by commas."},
        MASKS: {"enum": ["rle", "none"], "description": "Whether the labels include masks as run lengths."},
        SCORE_THRESHOLD: {"type": "string", "description": "From 0 to 1."},
    }
    prefix = {"type": "string", "pattern": f"^{reply_prefix}"}
    return {
        "sender": _headers({"frame-id": _FRAME_ID, "captured-at": _TIME}),
        "request": {
            **_headers(wishes),
            "bindings": mqtt({"responseTopic": prefix, "correlationData": {"type": "string", "format": "binary"}}),
        },
        "answer": {
            **_headers(answer, required=("frame-id", "camera", "node")),
            "correlationId": {"location": "$message.header#/frame-id"},
        },
        "size": _headers({"width": _PIXELS, "height": _PIXELS}),
        "command": command,
    }


def _headers(properties: dict[str, Any], required: tuple[str, ...] = ()) -> dict[str, Any]:
    needed = {"required": list(required)} if required else {}
    return {"headers": {"type": "object", "properties": properties, **needed}}


def _envelope() -> dict[str, Any]:
    """Return the schema of what :mod:`edge_worker.frames.envelope` reads."""
    return {
        "type": "object",
        "description": "An image, its id and its time.",
        "properties": {
            "image": {"type": "string", "contentEncoding": "base64", "description": "May be a data: URL."},
            "frame_id": _FRAME_ID,
            "captured_at": {**_TIME, "type": ["string", "number"]},
        },
        "required": ["image"],
    }


def mqtt(binding: dict[str, Any]) -> dict[str, Any]:
    """Return *binding* as the MQTT bindings of a server, an operation or a message."""
    return {"mqtt": {**binding, "bindingVersion": _BINDING_VERSION}}


def ref(*path: str) -> dict[str, str]:
    """Return a reference to *path* in the document."""
    return {"$ref": "#/" + "/".join(path)}
