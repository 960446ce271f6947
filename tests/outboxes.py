"""Messages for an outbox, and sending them as a link does."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edge_worker.mqtt.message import Outgoing

if TYPE_CHECKING:
    import itertools

    from edge_worker.mqtt.outbox import Outbox


def make_outgoing(*, must_arrive: bool = False, qos: int = 1) -> Outgoing:
    """Create an empty message on topic ``t``."""
    return Outgoing("t", b"", qos=qos, must_arrive=must_arrive)  # type: ignore[arg-type]


def send_all(outbox: Outbox, mids: itertools.count[int], now: float = 0.0) -> dict[int, int]:
    """Send all messages that may be sent; returns publication by packet id."""
    sent = {}
    while (entry := outbox.take(now)) is not None:
        mid = next(mids)
        outbox.sent(mid, entry)
        sent[mid] = entry.message.publication
    return sent
