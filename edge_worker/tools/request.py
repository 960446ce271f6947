"""``edge-worker request``: send a command to a running worker and print its answer."""

from __future__ import annotations

import json
import secrets
import sys
from typing import TYPE_CHECKING

from edge_worker.common.errors import EdgeWorkerError
from edge_worker.common.topics import Template
from edge_worker.messages import CommandResponse, parse_request
from edge_worker.mqtt.message import Outgoing, Subscription
from edge_worker.tools.client import Client
from edge_worker.tools.output import write_json

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from pydantic import JsonValue

    from edge_worker.config import Config


def run(config: Config, command: str, arguments: Mapping[str, JsonValue], *, node: str | None, timeout_s: float) -> int:
    """Send *command* with *arguments* to *node* (None: the configuration's); returns 0 if it was carried out, else 1.

    Raises:
        CommandError: the arguments do not fit the command; nothing was sent.
        EdgeWorkerError: no answer came within *timeout_s*, or the broker refuses us.
    """
    node = node or config.node.id
    transaction = secrets.token_hex(8)
    payload = json.dumps({**arguments, "transaction": transaction}).encode()
    parse_request(command, payload)
    place = Template(config.node.response_topic, node=node).format(command=command)
    topic = Template(config.node.request_topic, node=node).format(command=command)
    with Client(config, role="request", subscriptions=(Subscription(place, 1),), quiet=True) as client:
        client.wait_subscribed(timeout_s)
        client.publish(Outgoing(topic, payload, content_type="application/json", expiry_s=max(1, round(timeout_s))))
        answers = client.read(CommandResponse, timeout_s)
        response = next((answer for answer in answers if answer.transaction == transaction), None)
    if response is None:
        raise EdgeWorkerError(
            f"{config.mqtt.address}: no answer from {node} on {place} within {timeout_s:g} s: "
            "is it online (edge-worker status), and are commands.enabled there?"
        )
    write_json(response)
    if response.error:
        sys.stderr.write(f"{node}: {response.error}\n")
    return 0 if response.status == "ok" else 1


def arguments_of(pairs: Iterable[str]) -> dict[str, JsonValue]:
    """Parse *pairs* ``KEY=VALUE``; a value is JSON, or else text.

    Raises:
        EdgeWorkerError: one has no ``=``.
    """
    arguments: dict[str, JsonValue] = {}
    for pair in pairs:
        key, sign, value = pair.partition("=")
        if not key or not sign:
            raise EdgeWorkerError(f"{pair!r} should be KEY=VALUE, such as camera=door")
        arguments[key] = _value(value)
    return arguments


def _value(text: str) -> JsonValue:
    try:
        value: JsonValue = json.loads(text)
    except ValueError:
        return text
    return value
