"""Whether what is published reaches those who subscribed, by a share group too: a grant alone does not tell.

Brokers without shared subscriptions may grant ``$share/…`` as a plain topic, those without a right to read grant and
send nothing, and some change a topic on its way. A message to oneself finds it out; it goes to the topic of answers to
a command that does not exist, by a share group of its own, so that nobody else gets it, nor loses one to it.
"""

from __future__ import annotations

from functools import partial
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Final

from edge_worker.common.deadline import Deadline
from edge_worker.common.topics import Template
from edge_worker.config.credentials import read_password
from edge_worker.mqtt.events import Arrived, Subscribed
from edge_worker.mqtt.link import Link
from edge_worker.mqtt.message import Outgoing, Subscription

if TYPE_CHECKING:
    from collections.abc import Mapping

    from edge_worker.config import Config
    from edge_worker.mqtt.events import LinkEvent

SHARE_GROUP: Final = "edge-worker-check"
_COMMAND: Final = "check"
_GOODBYE_S: Final = 2.0


def own_topic(config: Config) -> str:
    """The topic that a check may publish to: nobody waits for an answer to this command."""
    return Template(config.node.response_topic, node=config.node.id).format(command=_COMMAND)


def echo(config: Config, environ: Mapping[str, str], *, share_group: str | None = None) -> str | None:
    """Publish to :func:`own_topic` and wait for it; returns the topic it comes back by, None where it does not.

    Raises:
        ConfigError: certificates cannot be read.
    """
    events: SimpleQueue[LinkEvent] = SimpleQueue()
    topic = own_topic(config)
    link = Link(
        config.mqtt,
        name="check",
        client_id=f"{config.client_id}-check",
        persistent=False,
        subscriptions=[Subscription(topic, 1, share_group)],
        report=events.put,
        password=partial(read_password, config.mqtt, environ),
    )
    link.start()
    try:
        return _heard(link, events, topic, config.mqtt.connack_timeout_s)
    finally:
        link.stop(Deadline(_GOODBYE_S))


def _heard(link: Link, events: SimpleQueue[LinkEvent], topic: str, timeout_s: float) -> str | None:
    deadline = Deadline(timeout_s)
    while True:
        try:
            event = events.get(timeout=deadline.remaining())
        except Empty:
            return None
        if isinstance(event, Subscribed):
            link.publish(Outgoing(topic, b"{}", content_type="application/json"))
        elif isinstance(event, Arrived):
            return event.message.topic
