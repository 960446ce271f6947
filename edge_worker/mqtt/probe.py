"""Try out a configuration on the broker it names: network, TLS, login, rights, limits. Disturbs nobody."""

from __future__ import annotations

import os
import time
from contextlib import contextmanager
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
from edge_worker.mqtt.diagnosis import dots_hint
from edge_worker.mqtt.events import Arrived, Connected, Published, Refused, Subscribed, SubscriptionRefused, Unreachable
from edge_worker.mqtt.link import Link
from edge_worker.mqtt.message import Outgoing, Subscription, Will
from edge_worker.mqtt.subscriptions import answered_subscription, camera_subscription, own_subscriptions

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from edge_worker.config import Config
    from edge_worker.mqtt.events import LinkEvent

_ATTEMPTS: Final = 4  # one that closes over MQTT 5 is asked so twice, for the older protocol, and for 5 once more
_GOODBYE_S: Final = 2.0
_SHARE_GROUP: Final = "edge-worker-check"
_GRANTED: Final = "subscriptions granted (by Mosquitto always: what its access list forbids to read just never arrives)"
_NO_SHARES: Final = (
    "the broker grants shared subscriptions and sends nothing by them, as if $share were a plain topic:"
    " remove cameras[].share_group"
)


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
    with _link(config, environ, _subscriptions(config), _will(config)) as (link, events):
        findings = list(_Probe(config, link, events).findings())
    protocol = link.status().protocol
    if protocol is None or not all(finding.ok for finding in findings):
        return findings
    mqtt = config.mqtt.model_copy(update={"protocol": protocol})  # what was found out need not be found out again
    return [*findings, *_echoes(config.model_copy(update={"mqtt": mqtt}), environ)]


@contextmanager
def _link(
    config: Config, environ: Mapping[str, str], subscriptions: Sequence[Subscription], will: Will | None = None
) -> Iterator[tuple[Link, SimpleQueue[LinkEvent]]]:
    """Connect under a name of our own; yields the link, and what it reports."""
    events: SimpleQueue[LinkEvent] = SimpleQueue()
    link = Link(
        config.mqtt,
        name="check",
        client_id=f"{config.client_id}-check",
        persistent=False,
        subscriptions=subscriptions,
        report=events.put,
        password=partial(read_password, config.mqtt, environ),
        will=will,
    )
    link.start()
    try:
        yield link, events
    finally:
        link.stop(Deadline(_GOODBYE_S))


def _next(events: SimpleQueue[LinkEvent], deadline: Deadline) -> LinkEvent | None:
    """Return the next event; None when time is up."""
    try:
        return events.get(timeout=deadline.remaining())
    except Empty:
        return None


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
    wanted = [*own_subscriptions(config), *(camera_subscription(config, camera) for camera in config.cameras)]
    if any(camera.keeps_for_others for camera in config.cameras):
        wanted.append(answered_subscription(config))
    return [replace(one, qos=0, share_group=_SHARE_GROUP if one.share_group else None) for one in wanted]


def _echoes(config: Config, environ: Mapping[str, str]) -> Iterator[Finding]:
    """Try what a grant does not prove, where the configuration depends on it."""
    topic, shares = _own_topic(config), any(camera.share_group for camera in config.cameras)
    if not config.commands.enabled:
        if shares:
            yield Finding(ok=True, detail="share_group is not tried: commands are turned off")
        return
    if shares and _echo(config, environ, _SHARE_GROUP) is not None:
        yield Finding(ok=True, detail="a share group gets what is published")
        shares = False
    if not shares and not dots_hint(topic):
        return
    heard = _echo(config, environ)
    if heard is None:
        if shares:
            yield Finding(ok=True, detail=f"share_group is not tried: there is no right to read {topic}")
    elif heard != topic:
        yield Finding(ok=False, detail=f"the broker makes {heard} of the topic {topic}:{dots_hint(topic)}")
    elif shares:
        yield Finding(ok=False, detail=_NO_SHARES)


def _own_topic(config: Config) -> str:
    """The topic that a check may publish to: nobody waits for an answer to this command."""
    return Template(config.node.response_topic, node=config.node.id).format(command="check")


def _echo(config: Config, environ: Mapping[str, str], share_group: str | None = None) -> str | None:
    """Publish to :func:`_own_topic` and wait for it; returns the topic it comes back by, None where it does not.

    A grant alone proves nothing. Brokers without shared subscriptions may grant ``$share/…`` as a plain topic, some
    grant without a right to read and then send nothing, and some change a topic on its way. In a *share_group* of its
    own nobody else gets the message, nor loses one to it.
    """
    topic = _own_topic(config)
    with _link(config, environ, [Subscription(topic, 1, share_group)]) as (link, events):
        deadline = Deadline(config.mqtt.connack_timeout_s)
        while (event := _next(events, deadline)) is not None:
            if isinstance(event, Subscribed):
                link.publish(Outgoing(topic, b"{}", content_type="application/json"))
            elif isinstance(event, Arrived):
                return event.message.topic
    return None


class _Probe:
    def __init__(self, config: Config, link: Link, events: SimpleQueue[LinkEvent]) -> None:
        self._config, self._link, self._events = config, link, events
        mqtt = config.mqtt
        self._place = mqtt.host if mqtt.transport == "unix" else f"{mqtt.host}:{mqtt.port}"
        self._deadline = Deadline(_ATTEMPTS * (mqtt.connect_timeout_s + mqtt.connack_timeout_s))

    def findings(self) -> Iterator[Finding]:
        problems = self._connect()
        yield from (Finding(ok=False, detail=f"broker {self._place}: {problem}") for problem in problems)
        if problems:
            return
        status = self._link.status()
        security = "without TLS" if self._config.mqtt.tls is None else "over TLS"
        yield Finding(ok=True, detail=f"broker {self._place}: connected {security}, MQTT {status.protocol}")
        yield self._subscribe()
        yield from self._limits()
        yield self._publish()

    def _connect(self) -> list[str]:
        """Wait for the connection; returns what is wrong, each thing once, or nothing."""
        problems: list[str] = []
        while len(problems) < _ATTEMPTS and (event := _next(self._events, self._deadline)) is not None:
            if isinstance(event, Connected):
                return []
            if isinstance(event, Refused | Unreachable):
                problems.append(event.reason)
        return list(dict.fromkeys(problems)) or ["no answer"]

    def _subscribe(self) -> Finding:
        self._deadline = Deadline(self._config.mqtt.connack_timeout_s)
        while (event := _next(self._events, self._deadline)) is not None:
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
        topic = _own_topic(self._config)
        self._deadline = Deadline(self._config.mqtt.connack_timeout_s)
        publication = self._link.publish(Outgoing(topic, b"{}", content_type="application/json"))
        while (event := _next(self._events, self._deadline)) is not None:
            if isinstance(event, Published) and event.publication == publication:
                words = "works" if event.ok else f"fails: {event.reason}"
                return Finding(ok=event.ok, detail=f"publishing to {topic} {words}")
        return Finding(ok=False, detail=f"publishing to {topic}: no answer")
