"""What a link reports to the rest of the worker: values only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from edge_worker.mqtt.message import Incoming

Protocol = Literal["5", "3.1.1"]


@dataclass(frozen=True, slots=True)
class LinkEvent:
    """Anything that a link reports; ``link`` is the name it was given."""

    link: str


@dataclass(frozen=True, slots=True)
class Connected(LinkEvent):
    """The broker accepted the connection."""

    protocol: Protocol
    session_present: bool


@dataclass(frozen=True, slots=True)
class SessionLost(LinkEvent):
    """The broker accepted us but no longer knew our session: the frames in it are lost."""


@dataclass(frozen=True, slots=True)
class SessionShortened(LinkEvent):
    """While we are away, the broker keeps our session and its frames for only ``granted_s`` seconds."""

    asked_s: int
    granted_s: int


@dataclass(frozen=True, slots=True)
class CapabilityMissing(LinkEvent):
    """The broker cannot do something that we would use; *reason* says what we do without."""

    reason: str


@dataclass(frozen=True, slots=True)
class ClientIdAssigned(LinkEvent):
    """The broker keeps our session under the name ``assigned``, which this process uses from now on."""

    client_id: str
    assigned: str


@dataclass(frozen=True, slots=True)
class Subscribed(LinkEvent):
    """Every subscription of the link is granted."""


@dataclass(frozen=True, slots=True)
class SubscriptionRefused(LinkEvent):
    """The broker refused *filter*; it is asked for again later."""

    filter: str
    reason: str


@dataclass(frozen=True, slots=True)
class Unreachable(LinkEvent):
    """No connection, or none that speaks MQTT: network, TLS, silence. Tried again for ever."""

    reason: str


@dataclass(frozen=True, slots=True)
class Refused(LinkEvent):
    """The broker refused the connection. ``permanent``: until somebody changes login, permissions or name."""

    reason: str
    permanent: bool


@dataclass(frozen=True, slots=True)
class FellBack(LinkEvent):
    """The link goes on with MQTT 3.1.1, because of *reason*."""

    reason: str


@dataclass(frozen=True, slots=True)
class Disconnected(LinkEvent):
    """An open connection ended; the link reconnects."""

    reason: str


@dataclass(frozen=True, slots=True)
class TakenOver(LinkEvent):
    """Another client uses our ``client_id``: the broker said so (``certain``), or repeated disconnects look like it."""

    client_id: str
    certain: bool

    @property
    def explanation(self) -> str:
        """Description for an operator."""
        name = f"our client id {self.client_id!r}"
        if self.certain:
            sign = f"another client uses {name}: each throws the other out."
        else:
            sign = f"the broker ends connections soon after they begin: another client with {name}?"
        return f"{sign} Give each worker a node.id of its own, or mqtt.client_id"


@dataclass(frozen=True, slots=True)
class Shed(LinkEvent):
    """Unacknowledged frames take more memory than is allowed; the ones that arrive now are left for redelivery.

    ``held`` frames are in memory; the others are fetched by a reconnect when these are acknowledged.
    """

    held: int
    reason: str


@dataclass(frozen=True, slots=True)
class Arrived(LinkEvent):
    """A message arrived."""

    message: Incoming


@dataclass(frozen=True, slots=True)
class Published(LinkEvent):
    """A publication is done: the broker has it (``ok``), or it was given up because of *reason*.

    ``too_large``: its size is the reason. ``unmatched``: the broker has it, but no subscriber for it (MQTT 5 only).
    """

    publication: int
    ok: bool
    reason: str = ""
    too_large: bool = False
    unmatched: bool = False


@dataclass(frozen=True, slots=True)
class PublicationRefused(LinkEvent):
    """The broker refused a publication that must arrive; it is tried again later."""

    publication: int
    topic: str
    reason: str


@dataclass(frozen=True, slots=True)
class Fatal(LinkEvent):
    """A defect ended the link's thread; the process should end too."""

    detail: str
