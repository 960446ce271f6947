"""``edge-worker status``: the retained status of the workers on a broker."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from rich.table import Table

from edge_worker.common.errors import EdgeWorkerError
from edge_worker.common.topics import filter_of_all_nodes
from edge_worker.messages import StatusMessage
from edge_worker.messages.base import MAX_DETAIL
from edge_worker.mqtt.message import Subscription
from edge_worker.tools.client import Client
from edge_worker.tools.output import PipedConsole, plain, write_json

if TYPE_CHECKING:
    from edge_worker.config import Config

# The broker sends retained messages after it has granted the subscription, and does not say which one is the last.
_SILENCE_S = 1.0
# Line width in a pipe, where columns are not cut to fit a screen.
_PIPE_WIDTH = 1000
_STYLES = {"online": "green", "degraded": "yellow", "offline": "red"}


def run(config: Config, node: str | None, *, as_json: bool, timeout_s: float) -> int:
    """Print the status of *node*, or of all workers; returns the exit code.

    Raises:
        EdgeWorkerError: there is none, the broker does not answer within *timeout_s*, or it refuses us.
    """
    found = _read(config, node, timeout_s)
    if not found:
        who = f"no worker {node}" if node else "no worker"
        raise EdgeWorkerError(
            f"{config.mqtt.address}: {who} has a status on {_filter(config, node)}; "
            "other topic, no right to read it, or node.retain: false?"
        )
    if as_json:
        for status in found:
            write_json(status)
    else:
        width = None if sys.stdout.isatty() else _PIPE_WIDTH
        PipedConsole(highlight=False, width=width).print(_table(found))
    return 0


def _read(config: Config, node: str | None, timeout_s: float) -> list[StatusMessage]:
    """Read the retained status messages."""
    found: dict[str, StatusMessage] = {}
    subscription = Subscription(_filter(config, node), 1)
    with Client(config, role="status", subscriptions=(subscription,), quiet=True) as client:
        client.wait_subscribed(timeout_s)
        for status in client.read(StatusMessage, timeout_s, _SILENCE_S):
            found[status.node] = status
            if node is not None:
                break
    return [found[name] for name in sorted(found)]


def _filter(config: Config, node: str | None) -> str:
    """Return the topic filter for the status of *node*, or of all nodes if the node is a topic level."""
    topic = config.node.status_topic
    return (topic if node else filter_of_all_nodes(topic)).replace("{node}", node or config.node.id)


def _table(found: list[StatusMessage]) -> Table:
    table = Table(box=None, pad_edge=False)
    for name in ("node", "state", "since", "version", "reason", "detail"):
        table.add_column(name.upper(), overflow="fold")
    for status in found:
        style = _STYLES.get(status.state, "")
        state = f"[{style}]{status.state}[/]" if style else status.state
        texts = (status.since, status.version, status.reason or "", status.detail or "")
        table.add_row(_cell(status.node), state, *map(_cell, texts))
    return table


def _cell(text: str) -> str:
    """Return untrusted *text* without control characters, and with rich's markup escaped."""
    return plain(text, MAX_DETAIL).replace("[", r"\[")
