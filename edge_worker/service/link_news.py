"""Log lines about links."""

from __future__ import annotations

import logging
from dataclasses import asdict
from typing import TYPE_CHECKING, Final

import structlog

from edge_worker.common import log_events
from edge_worker.mqtt import events

if TYPE_CHECKING:
    from edge_worker.mqtt.events import LinkEvent

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


def log_news(event: LinkEvent) -> None:
    """Log *event*, with its fields."""
    fields = {name: value for name, value in asdict(event).items() if name != "link"}
    level = logging.INFO if isinstance(event, _GOOD) else logging.WARNING
    _log.log(level, _EVENTS[type(event)], link=event.link, **fields)
