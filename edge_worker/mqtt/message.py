"""What a link publishes and receives, and what it subscribes to: values only."""

from __future__ import annotations

import itertools
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

    from edge_worker.frames.frame import Delivery

_PACKET_OVERHEAD: Final = 64  # header, lengths, packet id and identifiers of the single properties, rounded up
_OBJECT_BYTES: Final = 2048  # about what the objects around a received message take, so that empty ones count too

_publications = itertools.count(1)


@dataclass(frozen=True, slots=True)
class Subscription:
    """A topic filter to subscribe to at every connect; ``retained_at_reconnect``: with retained messages each time."""

    filter: str
    qos: Literal[0, 1]
    share_group: str | None = None
    retained_at_reconnect: bool = False

    @property
    def wire(self) -> str:
        """The filter as the broker gets it, with the share group before it."""
        return f"$share/{self.share_group}/{self.filter}" if self.share_group else self.filter


@dataclass(frozen=True, slots=True)
class Will:
    """What the broker publishes when the link ends without a DISCONNECT. At most 65 535 bytes."""

    topic: str
    payload: bytes
    content_type: str = "application/json"
    qos: Literal[0, 1] = 1
    retain: bool = True


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A message to publish.

    ``publication`` is its number in this process, known before it is sent so that acknowledgements can be tracked.
    ``must_arrive``: kept through disconnects, restarts and refusals until the broker has it (QoS 1 only); others are
    dropped, oldest first, when the broker stays away. What is to be retained is kept through refusals, too, until
    something newer is published to its topic. It is sent when the broker has the publications in ``after``, or they
    were given up; if one of those in ``needs`` is given up, so is it. Content type, properties, expiry, response
    topic and correlation data reach the consumer under MQTT 5 only.
    """

    topic: str
    payload: bytes
    qos: Literal[0, 1] = 1
    retain: bool = False
    content_type: str = ""
    properties: Mapping[str, str] = field(default_factory=dict)
    expiry_s: int | None = None
    response_topic: str = ""
    correlation: bytes | None = None
    must_arrive: bool = False
    after: frozenset[int] = frozenset()
    needs: frozenset[int] = frozenset()
    publication: int = field(default_factory=lambda: next(_publications))

    @property
    def packet_size(self) -> int:
        """Upper bound of the packet's size in bytes."""
        texts = [self.topic, self.content_type, self.response_topic, *self.properties, *self.properties.values()]
        lengths = sum(len(text.encode(errors="replace")) + 3 for text in texts)
        return _PACKET_OVERHEAD + lengths + len(self.correlation or b"") + len(self.payload)


@dataclass(frozen=True, slots=True)
class Incoming:
    """A message that arrived.

    ``arrived`` is monotonic seconds; ``delivery`` is None where nothing needs acknowledging. ``expiry_s`` is what was
    left of the Message Expiry Interval. Fields that MQTT 3.1.1 lacks are empty. Properties are the sender's and may
    hold anything.
    """

    topic: str
    payload: bytes
    qos: int
    retained: bool
    redelivered: bool
    properties: Mapping[str, str]
    content_type: str
    response_topic: str
    correlation: bytes | None
    arrived: float
    delivery: Delivery | None
    expiry_s: int | None = None

    @property
    def memory_size(self) -> int:
        """About how many bytes of memory this takes; properties may take more than the payload."""
        texts = (self.topic, self.content_type, self.response_topic, *itertools.chain(*self.properties.items()))
        return _OBJECT_BYTES + len(self.payload) + len(self.correlation or b"") + sum(map(sys.getsizeof, texts))
