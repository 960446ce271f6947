"""The messages that leave on one connection, and the broker's answers to them."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING, Final

from edge_worker.mqtt.capabilities import Capabilities
from edge_worker.mqtt.events import PublicationRefused, Published

if TYPE_CHECKING:
    from edge_worker.mqtt.connection_events import PublishAnswered
    from edge_worker.mqtt.link_context import LinkContext
    from edge_worker.mqtt.message import Outgoing
    from edge_worker.mqtt.outbox_entry import OutboxEntry
    from edge_worker.mqtt.paho.connection import PahoConnection

_AFTER_REFUSAL_S: Final = 0.5
"""A broker that closes the connection so soon after it refused a message does so because of that."""


class Publisher:
    """Sends what the outbox hands out, adapted to what the broker supports."""

    def __init__(self, link: LinkContext, session: PahoConnection) -> None:
        """Publish over *session*, which is open."""
        self._link, self._session = link, session
        self._refused_at = -math.inf
        self.capabilities = Capabilities()

    def send_all(self, now: float) -> None:
        """Send what is due and fits into the window."""
        while (entry := self._link.outbox.take(now)) is not None:
            self._send(entry)

    def answered(self, answer: PublishAnswered) -> None:
        """Note, and report, what became of a message."""
        now = time.monotonic()
        if answer.refusal is None:
            message = self._link.outbox.arrived(answer.mid, now)
            if message is not None:
                self._count_unmatched(answer, message)
                published = Published(self._link.name, message.publication, ok=True, unmatched=answer.unmatched)
                self._link.report(published)
            return
        refused = self._link.outbox.refused(answer.mid, answer.refusal, now)
        if refused is not None:
            message, given_up = refused
            self._refused_at = now
            self._link.report(PublicationRefused(self._link.name, message.publication, message.topic, answer.refusal))
            self._link.report_lost(given_up)

    @property
    def was_just_refused(self) -> bool:
        """Whether a message was refused so recently that it explains the end of the connection."""
        return time.monotonic() - self._refused_at < _AFTER_REFUSAL_S

    def _send(self, entry: OutboxEntry) -> None:
        outbox = self._link.outbox
        try:
            outbox.sent(self._session.publish(self.capabilities.adapt(entry.message)), entry)
        except ValueError as error:
            self._link.report_lost(outbox.unsendable(entry, str(error)))

    def _count_unmatched(self, answer: PublishAnswered, message: Outgoing) -> None:
        """Count a publication that nobody receives; a retained one waits for subscribers."""
        if answer.unmatched and not message.retain:
            board = self._link.status_board
            board.note(publications_without_subscriber=board.status.publications_without_subscriber + 1)
