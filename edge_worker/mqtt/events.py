"""What a link reports to the rest of the worker: values only.

``link`` is always the name the link was given.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from edge_worker.mqtt.message import Incoming

Protocol = Literal["5", "3.1.1"]


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
        name = f"our client id {self.client_id!r}"
        if self.certain:
            sign = f"another client uses {name}: each throws the other out."
        else:
            sign = f"the broker ends connections soon after they begin: another client with {name}?"
        return f"{sign} Give each worker a node.id of its own, or mqtt.client_id"


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
