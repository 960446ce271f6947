"""What the workers report about themselves: status, model card, stats; and commands to them."""

from __future__ import annotations

import asyncio
import json
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from pydantic import ValidationError

from edge_worker.common.topics import Template
from edge_worker.gateway.problems import Problem
from edge_worker.messages import CommandResponse, Message, ModelCard, StatsMessage, StatusMessage
from edge_worker.mqtt.message import Incoming, Outgoing, Subscription

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from edge_worker.config import Config
    from edge_worker.gateway.broker import Broker

MAX_NODES: Final = 256
COMMAND_S: Final = 10.0
WORKING: Final = frozenset({"online", "degraded"})
_MODELS: Final[Mapping[str, type[Message]]] = {"status": StatusMessage, "model": ModelCard, "stats": StatsMessage}


@dataclass(slots=True)
class Node:
    """The newest messages of one worker; None where there is none yet."""

    status: StatusMessage | None = None
    model: ModelCard | None = None
    stats: StatsMessage | None = None

    def values(self) -> dict[str, Any]:
        """Return them as plain JSON values."""
        parts = {"status": self.status, "model": self.model, "stats": self.stats}
        return {name: part.to_values() for name, part in parts.items() if part is not None}


class Nodes:
    """All workers of the broker. Belongs to the event loop."""

    def __init__(self, config: Config, broker: Broker) -> None:
        """Read the topics of *config*; where ``{node}`` is a level of its own, other workers are seen as well."""
        self._config, self._broker = config, broker
        self._topics = {kind: _any_node(getattr(config.node, f"{kind}_topic"), config.node.id) for kind in _MODELS}
        self._open: dict[str, asyncio.Future[CommandResponse]] = {}
        self.nodes: dict[str, Node] = {}
        self.on_change: Callable[[str, str, dict[str, Any]], None] = lambda *_: None
        self.on_lost: Callable[[], None] = lambda: None

    def subscriptions(self) -> tuple[Subscription, ...]:
        """Status, model cards, stats and responses to commands."""
        responses = self._config.node.response_topic.replace("{node}", "+").replace("{command}", "+")
        filters = [template.filter for template in self._topics.values()]
        return tuple(Subscription(one, 1) for one in [*filters, responses])

    def get(self, name: str) -> Node:
        """Return a worker.

        Raises:
            Problem: ``not_found``.
        """
        if name not in self.nodes:
            raise Problem("not_found", "no worker of this name has been seen")
        return self.nodes[name]

    def require(self) -> None:
        """Require that a worker is there.

        Raises:
            Problem: ``no_worker``.
        """
        states = [node.status.state for node in self.nodes.values() if node.status is not None]
        if not WORKING.intersection(states):
            reported = f"the workers are {', '.join(sorted(set(states)))}" if states else "no worker has been seen"
            raise Problem("no_worker", f"no worker is online: {reported}")

    def card(self) -> ModelCard:
        """Return the model card of a worker, preferably of one that works.

        Raises:
            Problem: ``no_worker``.
        """
        cards = [(node.status is not None and node.status.state in WORKING, node.model) for node in self.nodes.values()]
        known = sorted(((works, card) for works, card in cards if card), key=lambda pair: pair[0])
        if not known:
            raise Problem("no_worker", "no worker has published a model card yet")
        return known[-1][1]

    def take(self, message: Incoming) -> bool:
        """Take a message of a worker about itself; False where *message* is none. Malformed ones are skipped."""
        for kind, template in self._topics.items():
            name = template.match(message.topic)
            if name is not None:
                self._note(kind, name or self._config.node.id, message.payload)
                return True
        return self._answered(message)

    def _note(self, kind: str, name: str, payload: bytes) -> None:
        if name not in self.nodes and len(self.nodes) >= MAX_NODES:
            return
        if not payload:  # this is how retained messages are cleared
            if kind == "status":
                self.nodes.pop(name, None)
            return
        try:
            message = _MODELS[kind].model_validate_json(payload)
        except ValidationError:
            return
        node = self.nodes.setdefault(name, Node())
        if isinstance(message, StatusMessage) and not self._is_current(node, message):
            return
        setattr(node, kind, message)
        self.on_change(kind, name, message.to_values())

    def _is_current(self, node: Node, message: StatusMessage) -> bool:
        """Whether *message* is about the present worker; an ``offline`` of another session is not."""
        before = node.status
        if message.state != "offline" or before is None:
            return True
        if message.session != before.session:
            return False
        if before.state in WORKING and message.reason == "lost":
            self.on_lost()
        return True

    async def command(self, name: str, command: str, arguments: dict[str, Any]) -> CommandResponse:
        """Send a command and wait for the response.

        Raises:
            Problem: no such worker, no connection, no response.
        """
        self.get(name)
        self._broker.require()
        transaction = secrets.token_hex(8)
        answer = self._open[transaction] = asyncio.get_running_loop().create_future()
        topic = Template(self._config.node.request_topic, node=name).format(command=command)
        payload = json.dumps({**arguments, "transaction": transaction}).encode()
        try:
            self._broker.publish(Outgoing(topic, payload, content_type="application/json", expiry_s=int(COMMAND_S)))
            return await asyncio.wait_for(answer, COMMAND_S)
        except TimeoutError:
            raise Problem("timeout", f"the worker did not respond within {COMMAND_S:g} s") from None
        finally:
            del self._open[transaction]

    def _answered(self, message: Incoming) -> bool:
        try:
            response = CommandResponse.model_validate_json(message.payload)
        except ValidationError:
            return False
        answer = self._open.get(str(response.transaction))
        if answer is not None and not answer.done():
            answer.set_result(response)
        return True


def _any_node(topic: str, node: str) -> Template:
    """A template that names the worker where ``{node}`` is a level; elsewhere it takes our *node* alone."""
    return Template("/".join("{camera}" if level == "{node}" else level for level in topic.split("/")), node=node)
