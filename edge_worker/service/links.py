"""The links of one worker: which link carries which camera section, and which message.

Delivery mode and prefetch belong to a connection, not to a subscription: cameras in ``latest`` mode share the first
link with status and commands; those in ``every`` mode have a persistent link of their own for each ``prefetch``.
Requests have links whose session ends with the connection: nobody waits for a result as long as a session lasts, and a
broker keeps an absent member's share of a group for that member. Cameras that are divided among nodes have links that
receive the nodes' statuses among the frames, and one more link receives what the other nodes have answered. Messages
for Home Assistant have a link of their own, so that a broker which refuses them disturbs nothing else.

Reports of links about their status are logged here, too.
"""

from __future__ import annotations

import logging
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final

import structlog

from edge_worker.common import log_events
from edge_worker.common.deadline import Deadline
from edge_worker.common.errors import ResultTooLarge
from edge_worker.common.topics import Template
from edge_worker.config.split import control_keepalive_s
from edge_worker.mqtt import events
from edge_worker.mqtt.link import Link
from edge_worker.mqtt.message import Subscription
from edge_worker.mqtt.subscriptions import (
    answered_subscription,
    camera_subscription,
    own_subscriptions,
    statuses_subscription,
)
from edge_worker.service.router import Route

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from edge_worker.config import CameraConfig, Config
    from edge_worker.frames.frame import Delivery, Frame
    from edge_worker.mqtt.message import Outgoing, Will
    from edge_worker.mqtt.size_limit import PacketLimit
    from edge_worker.mqtt.status import LinkStatus

CONTROL = "control"
"""Name of the first link: status, commands, and the cameras in ``latest`` mode."""

ANSWERS = "answers"
"""Name of the link that other nodes' answers come by, where cameras in ``every`` mode are divided among nodes."""

HOME_ASSISTANT = "home-assistant"
"""Name of the link by which devices are announced; the worker does not depend on it."""

_ANSWERS_AT_A_TIME: Final = 100

_EVENTS: Final = {
    events.Connected: log_events.LINK_CONNECTED,
    events.SessionLost: log_events.LINK_SESSION_LOST,
    events.SessionShortened: log_events.LINK_SESSION_SHORTENED,
    events.CapabilityMissing: log_events.LINK_CAPABILITY_MISSING,
    events.ClientIdAssigned: log_events.LINK_CLIENT_ID_ASSIGNED,
    events.Subscribed: log_events.LINK_SUBSCRIBED,
    events.SubscriptionRefused: log_events.LINK_SUBSCRIPTION_REFUSED,
    events.Unreachable: log_events.LINK_UNREACHABLE,
    events.Refused: log_events.LINK_REFUSED,
    events.FellBack: log_events.LINK_FELL_BACK,
    events.Disconnected: log_events.LINK_DISCONNECTED,
    events.TakenOver: log_events.LINK_TAKEN_OVER,
    events.Shed: log_events.LINK_SHED,
    events.PublicationRefused: log_events.LINK_PUBLICATION_REFUSED,
    events.Fatal: log_events.LINK_FATAL,
}
_GOOD: Final = (events.Connected, events.Subscribed)

_log = structlog.get_logger(__name__)


class Links:
    """All links of a worker. Safe to call from any thread."""

    def __init__(
        self,
        config: Config,
        *,
        will: Will,
        password: Callable[[], str | None],
        report: Callable[[events.LinkEvent], None],
        announces: bool = False,
    ) -> None:
        """Build the links of *config*; the first subscribes to the worker's own topics too. Nothing is opened yet.

        *announces*: with the link for Home Assistant.
        """
        self.routes = tuple(_route(config, index) for index in range(len(config.cameras)))
        by_link: dict[str, list[CameraConfig]] = {CONTROL: []}
        for camera in config.cameras:
            by_link.setdefault(link_name(camera), []).append(camera)
        common: dict[str, Any] = {"report": report, "password": password}
        self._links = {name: _link(config, name, cameras, will, common) for name, cameras in by_link.items()}
        if any(camera.keeps_for_others for camera in config.cameras):
            # Its session outlives connections: an answer that is missed leaves its frame unacknowledged here.
            answers = answered_subscription(config)
            self._links[ANSWERS] = _other_link(config, ANSWERS, answers, common, prefetch=_ANSWERS_AT_A_TIME)
        if announces:
            births = Subscription(f"{config.integrations.home_assistant.prefix}/status", 1)
            self._links[HOME_ASSISTANT] = _other_link(config, HOME_ASSISTANT, births, common)

    def start(self) -> None:
        """Start connecting; links reconnect until they are stopped.

        Raises:
            ConfigError: certificates cannot be read.
        """
        for link in self._links.values():
            link.start()

    def leave_share_groups(self, deadline: Deadline) -> str:
        """Leave the share groups, which stops their new frames; returns why that failed, empty if it did not."""
        problems = {name: link.leave_share_groups(deadline) for name, link in self._links.items()}
        return "; ".join(f"{name}: {problem}" for name, problem in problems.items() if problem)

    def stop(self, deadline: Deadline) -> None:
        """Send what is queued and say goodbye on every link, the first one last: it carries the status.

        Each has its share of the time left, so that one which cannot send everything does not delay the others.
        """
        for left, link in zip(range(len(self._links), 0, -1), reversed(self._links.values()), strict=True):
            link.stop(Deadline(deadline.remaining() / left))

    def publish(self, message: Outgoing) -> bool:
        """Publish a message about the worker itself; False, with a log line, if the broker would not accept it."""
        return self._publish(CONTROL, message)

    def announce(self, message: Outgoing) -> bool:
        """Publish a message for Home Assistant, as :meth:`publish` does."""
        return self._publish(HOME_ASSISTANT, message)

    def _publish(self, link: str, message: Outgoing) -> bool:
        try:
            self._links[link].publish(message)
        except ResultTooLarge as error:
            _log.warning(log_events.NOT_PUBLISHED, topic=message.topic, problem=str(error))
            return False
        return True

    def reply(self, frame: Frame, message: Outgoing) -> None:
        """Publish a reply to *frame*, by the link the frame came by.

        Raises:
            ResultTooLarge: the broker would not accept it, as far as is known.
        """
        self._link_of(frame.delivery).publish(message)

    def has_room(self, source: int) -> bool:
        """Whether replies to frames of camera section *source* will soon be sent."""
        return self._links[self.routes[source].link].has_room()

    def packet_limit(self, frame: Frame, topic: str) -> PacketLimit:
        """How many bytes a reply to *frame* for *topic* may have as a packet, as far as is known."""
        return self._link_of(frame.delivery).packet_limit(topic)

    def acknowledge(self, delivery: Delivery) -> None:
        """Acknowledge a frame; where its connection is gone, the broker will send it again."""
        self._link_of(delivery).acknowledge(delivery)

    def statuses(self) -> Mapping[str, LinkStatus]:
        """The status of each link, by name."""
        return {name: link.status() for name, link in self._links.items()}

    def needed(self) -> Mapping[str, LinkStatus]:
        """The status of the links that the worker depends on, by name."""
        return {name: link.status() for name, link in self._links.items() if name != HOME_ASSISTANT}

    def unhealthy(self) -> str:
        """Name the links whose thread is dead or stuck; empty while all are well."""
        return ", ".join(name for name, link in self._links.items() if not link.healthy())

    def _link_of(self, delivery: Delivery | None) -> Link:
        return self._links[CONTROL if delivery is None else delivery.link]


def _link(config: Config, name: str, cameras: Sequence[CameraConfig], will: Will, common: Mapping[str, Any]) -> Link:
    first = name == CONTROL
    subscriptions = [*own_subscriptions(config)] if first else []
    keeps = not first and cameras[0].keeps_for_others
    if keeps:
        subscriptions.append(statuses_subscription(config))
    keepalive_s = control_keepalive_s(config) if first else config.mqtt.keepalive_s
    return Link(
        config.mqtt.model_copy(update={"keepalive_s": keepalive_s}),
        name=name,
        client_id=config.client_id if first else f"{config.client_id}-{name}",
        persistent=not first,
        subscriptions=[*subscriptions, *(camera_subscription(config, camera) for camera in cameras)],
        will=will if first else None,
        receive_maximum=None if first else cameras[0].prefetch,
        forgets=not first and cameras[0].reply_prefix is not None,
        acks_in_order=keeps,
        **common,
    )


def _other_link(
    config: Config, name: str, subscription: Subscription, common: Mapping[str, Any], *, prefetch: int | None = None
) -> Link:
    """A link without cameras; with a *prefetch* it has a persistent session, whose messages are acknowledged."""
    return Link(
        config.mqtt,
        name=name,
        client_id=f"{config.client_id}-{name}",
        persistent=prefetch is not None,
        subscriptions=(subscription,),
        receive_maximum=prefetch,
        **common,
    )


def link_name(camera: CameraConfig) -> str:
    """The link that the frames of a section *camera* come by."""
    if camera.delivery == "latest":
        return CONTROL
    kind = "split" if camera.keeps_for_others else "every" if camera.reply_prefix is None else "requests"
    return kind if camera.prefetch == 1 else f"{kind}-{camera.prefetch}"


def _route(config: Config, index: int) -> Route:
    camera = config.cameras[index]
    return Route(link_name(camera), Template(camera.topic, node=config.node.id), index, camera.reply_prefix)


def log_link_event(event: events.LinkEvent) -> None:
    """Log *event*, with its fields."""
    fields = {name: value for name, value in asdict(event).items() if name != "link"}
    level = logging.INFO if isinstance(event, _GOOD) else logging.WARNING
    _log.log(level, _EVENTS[type(event)], link=event.link, **fields)
