"""The messages that arrive on one connection, and their acknowledgements.

A broker should stop at Receive Maximum. MQTT 3.1.1 has none, Mosquitto before 2.0.13 forgets it when it is above 1, and
NATS has a limit of its own. What is sent beyond it is held in memory up to ``MAX_BYTES``. Messages beyond that are not
kept: left unacknowledged, they are delivered again after a reconnect.
"""

from __future__ import annotations

from collections import deque
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from edge_worker.frames.frame import Delivery
from edge_worker.mqtt.ack_order import AckOrder
from edge_worker.mqtt.events import Arrived, Shed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from edge_worker.mqtt.connection_events import Received
    from edge_worker.mqtt.link_context import LinkContext

MAX_BYTES: Final = 64 << 20


class Receiver:
    """Reports messages, or leaves them to the broker where memory is short.

    :meth:`acknowledge` may be called from any thread, everything else only from the link's.
    """

    def __init__(self, link: LinkContext, *, epoch: int, agreed: int) -> None:
        """Receive on connection number *epoch*, where at most *agreed* messages may be unacknowledged."""
        self._link, self._epoch, self._agreed = link, epoch, agreed
        self._acks: deque[int] = deque()
        self._order = AckOrder()
        self._window = ReceiveWindow(MAX_BYTES)

    def received(self, received: Received) -> None:
        """Report a message, with a delivery where it is to be acknowledged."""
        message, mid = received.message, received.mid
        if mid:
            if not self._window.admits(mid, message.memory_size):
                self._shed()
                return
            self._order.arrived(mid)
            message = replace(message, delivery=Delivery(self._link.name, self._epoch, mid))
        self._link.report(Arrived(self._link.name, message))

    def acknowledge(self, mid: int) -> None:
        """Have message *mid* acknowledged at the next turn."""
        self._acks.append(mid)

    @property
    def has_pending_acknowledgements(self) -> bool:
        """Whether acknowledgements wait to be sent. One that is not sent would bring its frame again."""
        return bool(self._acks)

    def acknowledgements(self) -> Iterator[int]:
        """Take out the packet ids to acknowledge now."""
        while self._acks:
            mid = self._acks.popleft()
            for due in self._order.settle(mid) if self._link.acks_in_order else (mid,):
                yield due
                self._window.settle(due)

    @property
    def reason_to_reconnect(self) -> str:
        """Why to reconnect, empty if there is no reason: the broker then redelivers what was left to it."""
        if self._acks or not self._window.wants_reconnect:
            return ""
        return f"fetching {self._window.shed} frames that there was no memory for"

    def _shed(self) -> None:
        board = self._link.status_board
        board.note(shed=board.status.shed + 1)
        if self._window.shed == 1:
            self._link.report(Shed(self._link.name, self._window.held, self._why_shed()))

    def _why_shed(self) -> str:
        """Explain why the unacknowledged frames take too much memory."""
        if self._window.held < self._agreed:
            return f"cameras[].prefetch asks for {self._agreed} frames at a time, of any size: lower it"
        return (
            f"the broker sends more than the {self._agreed} unacknowledged frames that cameras[].prefetch asks for:"
            " Mosquitto before 2.0.13 does so unless that is 1, other brokers have a limit of their own to lower"
        )


class ReceiveWindow:
    """The messages of one connection that are not acknowledged yet. Pure."""

    def __init__(self, max_bytes: int) -> None:
        """Hold *max_bytes* at most, or a single larger message."""
        self._max_bytes = max_bytes
        self._sizes: dict[int, int] = {}  # by packet identifier
        self._held_bytes = 0
        self._shed = 0

    @property
    def held(self) -> int:
        """Messages admitted and not acknowledged."""
        return len(self._sizes)

    @property
    def shed(self) -> int:
        """Messages not admitted so far."""
        return self._shed

    @property
    def wants_reconnect(self) -> bool:
        """Whether everything admitted is acknowledged, and what was not admitted is to be fetched."""
        return bool(self._shed) and not self._sizes

    def admits(self, mid: int, size: int) -> bool:
        """Enter message *mid* of *size* bytes; False when there is no room for it.

        After the first such message none is admitted, to keep the order.
        """
        if mid in self._sizes:  # NATS sends a message again on the same connection
            return True
        if self._shed or (self._sizes and self._held_bytes + size > self._max_bytes):
            self._shed += 1
            return False
        self._sizes[mid] = size
        self._held_bytes += size
        return True

    def settle(self, mid: int) -> None:
        """Note that message *mid* is acknowledged."""
        self._held_bytes -= self._sizes.pop(mid, 0)
