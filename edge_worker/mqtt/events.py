"""What passes between a link and the rest of the worker: values only, no behaviour.

``link`` is always the name the link was given.
"""

from __future__ import annotations

import itertools
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

    from edge_worker.frames.frame import Delivery

Protocol = Literal["5", "3.1.1"]

_PACKET_OVERHEAD: Final = 64  # header, lengths, packet id and identifiers of the single properties, rounded up
_OBJECT_BYTES: Final = 2048  # of the objects around a message that arrived, about, so that empty messages count too

_publications = itertools.count(1)


@dataclass(frozen=True, slots=True)
class Subscription:
    """A topic filter to subscribe to at every connect; with ``recalls`` the broker sends what is retained each time."""

    filter: str
    qos: Literal[0, 1]
    share_group: str | None = None
    recalls: bool = False

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
    were given up; with one of those in ``needs`` it is given up itself. Content type, properties, expiry, response
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
        """Bytes that this takes at most as a packet."""
        texts = [self.topic, self.content_type, self.response_topic, *self.properties, *self.properties.values()]
        lengths = sum(len(text.encode(errors="replace")) + 3 for text in texts)
        return _PACKET_OVERHEAD + lengths + len(self.correlation or b"") + len(self.payload)


@dataclass(frozen=True, slots=True)
class Incoming:
    """A message that arrived.

    ``arrived`` is monotonic seconds; ``delivery`` is None where nothing needs acknowledging. ``expiry_s`` is what was
    left of the Message Expiry Interval. What MQTT 3.1.1 does not know is empty. Properties are the sender's: anything
    may stand in them.
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


@dataclass(frozen=True, slots=True)
class Connected:
    """The broker let us in."""

    link: str
    protocol: Protocol
    session_present: bool


@dataclass(frozen=True, slots=True)
class SessionLost:
    """The broker let us in and did not know our session any more: frames that it held for us are gone."""

    link: str


@dataclass(frozen=True, slots=True)
class SessionShortened:
    """The broker will keep our session, and frames with it, for ``granted_s`` seconds only while we are away."""

    link: str
    asked_s: int
    granted_s: int


@dataclass(frozen=True, slots=True)
class CapabilityMissing:
    """The broker cannot do something that we would use; *reason* says what we do without."""

    link: str
    reason: str


@dataclass(frozen=True, slots=True)
class ClientIdAssigned:
    """The broker keeps our session under the name ``assigned``, by which this process comes back from now on."""

    link: str
    client_id: str
    assigned: str


@dataclass(frozen=True, slots=True)
class Subscribed:
    """Every subscription of the link is granted."""

    link: str


@dataclass(frozen=True, slots=True)
class SubscriptionRefused:
    """The broker refused *filter*; it is asked for again later."""

    link: str
    filter: str
    reason: str


@dataclass(frozen=True, slots=True)
class Unreachable:
    """No connection, or none that speaks MQTT: network, TLS, silence. Tried again for ever."""

    link: str
    reason: str


@dataclass(frozen=True, slots=True)
class Refused:
    """The broker answered and said no. ``permanent``: until somebody changes login, permissions or name."""

    link: str
    reason: str
    permanent: bool


@dataclass(frozen=True, slots=True)
class FellBack:
    """The link goes on with MQTT 3.1.1, because of *reason*."""

    link: str
    reason: str


@dataclass(frozen=True, slots=True)
class Disconnected:
    """An open connection ended; the link is on its way back."""

    link: str
    reason: str


@dataclass(frozen=True, slots=True)
class TakenOver:
    """Another client uses our ``client_id``: the broker said so (``certain``), or the kicks in a row look like it."""

    link: str
    client_id: str
    certain: bool

    @property
    def explanation(self) -> str:
        """What it is, in an operator's words."""
        if self.certain:
            return f"another client uses our client id {self.client_id!r}: each throws the other out"
        return (
            f"the broker ends connections soon after they begin: another client with our client id {self.client_id!r}?"
        )


@dataclass(frozen=True, slots=True)
class Shed:
    """Unacknowledged frames take more memory than is allowed; the ones that arrive now are left for redelivery.

    ``held`` frames are in memory; the others are fetched by a reconnect when these are acknowledged.
    """

    link: str
    held: int
    reason: str


@dataclass(frozen=True, slots=True)
class Arrived:
    """A message arrived."""

    link: str
    message: Incoming


@dataclass(frozen=True, slots=True)
class Published:
    """A publication came to its end: the broker has it (``ok``), or it was given up because of *reason*.

    ``too_large``: its size is the reason. ``unmatched``: the broker has it, and nobody to give it to (MQTT 5 only).
    """

    link: str
    publication: int
    ok: bool
    reason: str = ""
    too_large: bool = False
    unmatched: bool = False


@dataclass(frozen=True, slots=True)
class PublicationRefused:
    """The broker refused a publication that must arrive; it is tried again later."""

    link: str
    publication: int
    topic: str
    reason: str


@dataclass(frozen=True, slots=True)
class Fatal:
    """A defect ended the link's thread; the process should end too."""

    link: str
    detail: str


LinkEvent = (
    Connected
    | SessionLost
    | SessionShortened
    | CapabilityMissing
    | ClientIdAssigned
    | Subscribed
    | SubscriptionRefused
    | Unreachable
    | Refused
    | FellBack
    | Disconnected
    | TakenOver
    | Shed
    | Arrived
    | Published
    | PublicationRefused
    | Fatal
)
