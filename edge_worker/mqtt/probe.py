"""Try out a configuration on the broker it names: network, TLS, login, rights, limits. Disturbs nobody."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, replace
from functools import partial
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Final

from edge_worker import __version__
from edge_worker.common.deadline import Deadline
from edge_worker.common.timestamps import rfc3339
from edge_worker.common.topics import Template
from edge_worker.config.credentials import read_password
from edge_worker.messages import StatusMessage
from edge_worker.mqtt.events import (
    Connected,
    Outgoing,
    Published,
    Refused,
    Subscribed,
    SubscriptionRefused,
    Unreachable,
    Will,
)
from edge_worker.mqtt.link import Link
from edge_worker.mqtt.subscriptions import camera_subscription, own_subscriptions

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from edge_worker.config import Config
    from edge_worker.mqtt.events import LinkEvent, Subscription

_ATTEMPTS: Final = 3  # enough to find out that a broker speaks the older protocol only
_GOODBYE_S: Final = 2.0
_SHARE_GROUP: Final = "edge-worker-check"
_GRANTED: Final = "subscriptions granted (by Mosquitto always: what its access list forbids to read just never arrives)"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that works, or does not and why."""

    ok: bool
    detail: str


def probe(config: Config, environ: Mapping[str, str]) -> list[Finding]:
    """Connect as the worker would (under a name of its own), subscribe, publish, disconnect.

    Raises:
        ConfigError: certificates cannot be read.
    """
    events: SimpleQueue[LinkEvent] = SimpleQueue()
    link = Link(
        config.mqtt,
        name="check",
        client_id=f"{config.client_id}-check",
        persistent=False,
        subscriptions=_subscriptions(config),
        report=events.put,
        password=partial(read_password, config.mqtt, environ),
        will=_will(config),
    )
    link.start()
    try:
        return list(_Probe(config, link, events).findings())
    finally:
        link.stop(Deadline(_GOODBYE_S))


def _will(config: Config) -> Will:
    """A will as the worker has one: brokers refuse some at CONNECT. It is published if this process is killed."""
    lost = StatusMessage(
        node=config.node.id,
        version=__version__,
        session="check",
        state="offline",
        since=rfc3339(time.time()),
        reason="lost",
        detail="edge-worker check was interrupted",
        pid=os.getpid(),
    )
    topic = Template(config.node.status_topic, node=config.node.id).format()
    return Will(topic, lost.to_json(), retain=config.node.retain)


def _subscriptions(config: Config) -> list[Subscription]:
    """What the worker subscribes to, but in a share group of its own: in theirs it would take frames of the others."""
    wanted = (*own_subscriptions(config), *(camera_subscription(config, camera) for camera in config.cameras))
    return [replace(one, qos=0, share_group=_SHARE_GROUP if one.share_group else None) for one in wanted]


class _Probe:
    def __init__(self, config: Config, link: Link, events: SimpleQueue[LinkEvent]) -> None:
        self._config, self._link, self._events = config, link, events
        mqtt = config.mqtt
        self._place = mqtt.host if mqtt.transport == "unix" else f"{mqtt.host}:{mqtt.port}"
        self._deadline = Deadline(_ATTEMPTS * (mqtt.connect_timeout_s + mqtt.connack_timeout_s))

    def findings(self) -> Iterator[Finding]:
        problem = self._connect()
        if problem:
            yield Finding(ok=False, detail=f"broker {self._place}: {problem}")
            return
        status = self._link.status()
        security = "without TLS" if self._config.mqtt.tls is None else "over TLS"
        yield Finding(ok=True, detail=f"broker {self._place}: connected {security}, MQTT {status.protocol}")
        yield self._subscribe()
        yield from self._limits()
        yield self._publish()

    def _connect(self) -> str:
        """Wait for the connection; returns what is wrong, or nothing."""
        problem, failures = "no answer", 0
        while failures < _ATTEMPTS and (event := self._next()) is not None:
            if isinstance(event, Connected):
                return ""
            if isinstance(event, Refused | Unreachable):
                problem, failures = event.reason, failures + 1
        return problem

    def _subscribe(self) -> Finding:
        while (event := self._next()) is not None:
            if isinstance(event, Subscribed):
                return Finding(ok=True, detail=_GRANTED)
            if isinstance(event, SubscriptionRefused):
                return Finding(ok=False, detail=self._link.status().trouble)
        return Finding(ok=False, detail="subscriptions: no answer")

    def _limits(self) -> Iterator[Finding]:
        limit = self._link.status().max_packet
        if limit is not None:
            yield Finding(ok=True, detail=f"the broker takes packets of up to {limit} bytes; larger ones never arrive")

    def _publish(self) -> Finding:
        if not self._config.commands.enabled:
            detail = "publishing is not tried: commands are turned off, and all other topics have readers"
            return Finding(ok=True, detail=detail)
        node = self._config.node
        topic = Template(node.response_topic, node=node.id).format(command="check")
        publication = self._link.publish(Outgoing(topic, b"{}", content_type="application/json"))
        while (event := self._next()) is not None:
            if isinstance(event, Published) and event.publication == publication:
                words = "works" if event.ok else f"fails: {event.reason}"
                return Finding(ok=event.ok, detail=f"publishing to {topic} {words}")
        return Finding(ok=False, detail=f"publishing to {topic}: no answer")

    def _next(self) -> LinkEvent | None:
        """Give the next event; None when time is up."""
        try:
            return self._events.get(timeout=self._deadline.remaining())
        except Empty:
            return None
