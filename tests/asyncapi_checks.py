"""Checks values and messages against the AsyncAPI document."""

from __future__ import annotations

import re
from typing import Any, Final

from jsonschema import Draft7Validator

from edge_worker.messages.asyncapi import document

DOCUMENT: Final = document()
MESSAGES: Final[dict[str, Any]] = DOCUMENT["components"]["messages"]


def problems(schema: dict[str, Any], value: Any) -> list[str]:  # noqa: ANN401 - JSON
    """Return the errors of *value* against a *schema* of the document."""
    target = DOCUMENT["components"]["schemas"][last(schema)] if "$ref" in schema else schema
    validator = Draft7Validator({**target, "components": DOCUMENT["components"]})
    return [error.message for error in validator.iter_errors(value)]


def header_schemas(message: str) -> list[dict[str, Any]]:
    """Return the schemas of a message's user properties, one per trait."""
    traits = [DOCUMENT["components"]["messageTraits"][last(ref)] for ref in MESSAGES[message].get("traits", ())]
    return [trait["headers"] for trait in traits if "headers" in trait]


def channel_of(topic: str) -> str:
    """Return the channel with the address *topic*."""
    addresses = {name: channel["address"] for name, channel in DOCUMENT["channels"].items()}
    patterns = {name: re.sub(r"\{[a-z]+\}", "[^/]+", address) for name, address in addresses.items() if address}
    found: list[str] = [name for name, pattern in patterns.items() if re.fullmatch(pattern, topic)] or ["replies"]
    return found[0]


def operation_on(channel: str) -> dict[str, Any]:
    """Return the worker's operation on *channel*."""
    operations = DOCUMENT["operations"].values()
    return next(dict(operation) for operation in operations if last(operation["channel"]) == channel)


def last(ref: dict[str, str]) -> str:
    """Return the name of the referenced object."""
    return ref["$ref"].rpartition("/")[2]
