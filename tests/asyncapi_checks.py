"""Values and messages held against the AsyncAPI document."""

from __future__ import annotations

import re
from typing import Any, Final

from jsonschema import Draft7Validator

from edge_worker.messages.asyncapi import document

DOCUMENT: Final = document()
MESSAGES: Final[dict[str, Any]] = DOCUMENT["components"]["messages"]


def problems(schema: dict[str, Any], value: Any) -> list[str]:  # noqa: ANN401 - JSON
    """What is wrong with *value* by a *schema* of the document."""
    target = DOCUMENT["components"]["schemas"][last(schema)] if "$ref" in schema else schema
    validator = Draft7Validator({**target, "components": DOCUMENT["components"]})
    return [error.message for error in validator.iter_errors(value)]


def header_schemas(message: str) -> list[dict[str, Any]]:
    """The schemas of a message's user properties, one from each trait."""
    traits = [DOCUMENT["components"]["messageTraits"][last(ref)] for ref in MESSAGES[message].get("traits", ())]
    return [trait["headers"] for trait in traits if "headers" in trait]


def channel_of(topic: str) -> str:
    """The channel whose address *topic* is."""
    addresses = {name: channel["address"] for name, channel in DOCUMENT["channels"].items()}
    patterns = {name: re.sub(r"\{[a-z]+\}", "[^/]+", address) for name, address in addresses.items() if address}
    found: list[str] = [name for name, pattern in patterns.items() if re.fullmatch(pattern, topic)] or ["replies"]
    return found[0]


def operation_on(channel: str) -> dict[str, Any]:
    """What the worker does on *channel*."""
    operations = DOCUMENT["operations"].values()
    return next(dict(operation) for operation in operations if last(operation["channel"]) == channel)


def last(ref: dict[str, str]) -> str:
    """The name of what is referred to."""
    return ref["$ref"].rpartition("/")[2]
