"""What a connection gets from its link."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from edge_worker.common.deadline import Deadline
    from edge_worker.config.mqtt import MqttConfig
    from edge_worker.mqtt.events import LinkEvent
    from edge_worker.mqtt.message import Subscription
    from edge_worker.mqtt.outbox import GivenUp, Outbox
    from edge_worker.mqtt.share_groups import ShareGroups
    from edge_worker.mqtt.status import StatusBoard
    from edge_worker.mqtt.waker import Waker


@dataclass(frozen=True, slots=True)
class LinkContext:
    """Outlives the connection."""

    config: MqttConfig
    name: str
    subscriptions: tuple[Subscription, ...]
    acks_in_order: bool
    """Whether a message is acknowledged only after all that came before it."""
    outbox: Outbox
    status_board: StatusBoard
    waker: Waker
    share_groups: ShareGroups
    report: Callable[[LinkEvent], None]
    report_lost: Callable[[Iterable[GivenUp]], None]
    leave_by: Callable[[], Deadline | None]
    assigned: Callable[[str], None]
    """Takes the client id that the broker knows us by from now on."""
