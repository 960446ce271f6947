"""What happens on one connection, as the session reports it: values only."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum, auto
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from edge_worker.mqtt.capabilities import Capabilities
    from edge_worker.mqtt.events import Protocol
    from edge_worker.mqtt.message import Incoming, Will


class Cause(Enum):
    """Who or what ended an accepted connection."""

    OURS = auto()
    BROKER = auto()
    """It closed the connection without a reason, or sent something that is not MQTT."""
    STATED = auto()
    """It gave a reason in DISCONNECT, other than those below."""
    DENIED = auto()
    """It said that we are not authorised for what we sent."""
    BROKER_DOWN = auto()
    """The broker itself ended: its port is closed, too."""
    REFUSAL = auto()
    """It closed the connection over a message that it had refused, as Mosquitto 2.0.11 does."""
    SILENCE = auto()
    SUBSCRIBE = auto()
    """It closed the connection instead of answering SUBSCRIBE."""
    TAKEN_OVER = auto()
    TOO_LARGE = auto()


@dataclass(frozen=True, slots=True)
class ConnectOptions:
    """What a client asks for in CONNECT."""

    client_id: str
    protocol: Protocol
    clean_start: bool
    manual_ack: bool
    session_expiry_s: int
    receive_maximum: int | None
    will: Will | None
    password: str | None = field(repr=False)


@dataclass(frozen=True, slots=True)
class Accepted:
    """The broker accepted CONNECT, under these limits (None: none stated)."""

    session_present: bool
    max_packet: int | None
    receive_maximum: int | None
    session_expiry_s: int | None
    keepalive_s: int
    capabilities: Capabilities
    client_id: str
    """By which the broker knows us: the one asked for, or the Assigned Client Identifier."""


WillObjection = Literal["", "retain", "qos"]
"""The part of our will that a broker does not accept."""


@dataclass(frozen=True, slots=True)
class ConnectRefused:
    """The broker refused CONNECT."""

    reason: str
    permanent: bool
    unsupported_version: bool
    will_objection: WillObjection = ""


@dataclass(frozen=True, slots=True)
class SubscribeAnswered:
    """The answer (SUBACK) to SUBSCRIBE number *mid*: a reason for each filter refused, None for each granted."""

    mid: int
    refusals: tuple[str | None, ...]


@dataclass(frozen=True, slots=True)
class Unsubscribed:
    """The answer (UNSUBACK) to UNSUBSCRIBE: the *refusals*, empty where all is as asked."""

    refusals: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Received:
    """A message arrived; *mid* is 0 where it needs no acknowledgement."""

    mid: int
    message: Incoming


@dataclass(frozen=True, slots=True)
class PublishAnswered:
    """Message *mid* is done: written (QoS 0), accepted or refused by the broker (QoS 1).

    *unmatched*: the broker accepted it, but it had no subscriber ("No matching subscribers", MQTT 5 only).
    """

    mid: int
    refusal: str | None
    unmatched: bool = False


@dataclass(frozen=True, slots=True)
class Ended:
    """The connection is over."""

    cause: Cause
    reason: str


ConnectionEvent = Accepted | ConnectRefused | SubscribeAnswered | Unsubscribed | Received | PublishAnswered | Ended
