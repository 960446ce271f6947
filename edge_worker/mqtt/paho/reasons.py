"""What the reason codes of a broker mean for us, in an operator's words. Used by the session only."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from edge_worker.mqtt.connection_events import Cause, ConnectRefused, Ended
from edge_worker.mqtt.diagnosis import remedy
from edge_worker.mqtt.paho.properties import server_reference

if TYPE_CHECKING:
    from paho.mqtt import client as paho
    from paho.mqtt.properties import Properties
    from paho.mqtt.reasoncodes import ReasonCode

    from edge_worker.mqtt.connection_events import WillObjection

NO_MATCHING_SUBSCRIBERS: Final = 16
_UNSUPPORTED_VERSION: Final = 132
_NOT_AUTHORIZED: Final = 135
_CAUSES: Final = {128: Cause.BROKER, _NOT_AUTHORIZED: Cause.DENIED, 142: Cause.TAKEN_OVER, 149: Cause.TOO_LARGE}
"""What the reasons of a DISCONNECT (MQTT 5, table 3-10) say of its cause; 128 is "unspecified error"."""
_NO_REASON: Final = ": no permission for it?"
"""MQTT 3.1.1 has one code for every refused subscription."""

_WILL_OBJECTIONS: Final[dict[int, WillObjection]] = {154: "retain", 155: "qos"}
"""Reasons of a CONNACK that speak of the will."""

_PERMANENT: Final = frozenset({_UNSUPPORTED_VERSION, 133, 134, _NOT_AUTHORIZED, 138, 140, 144, 154, 155, 156, 157})
"""CONNACK reasons (MQTT 5, table 3-1) that stay true until somebody changes something."""


def connect_refused(
    reason: ReasonCode, properties: Properties | None, *, has_will: bool, is_free: bool
) -> ConnectRefused:
    """Read a refusing CONNACK, to a client with a will or without that *is_free* to speak another version of MQTT."""
    no_remedy = reason.value == _NOT_AUTHORIZED  # here it is the login, not the ACL
    advice = "" if no_remedy else remedy(reason.value, server_reference(properties))
    if reason == _UNSUPPORTED_VERSION and not is_free:
        advice = ": set mqtt.protocol: auto"
    return ConnectRefused(
        f"{words(reason, properties)}{advice}",
        reason.value in _PERMANENT,
        reason == _UNSUPPORTED_VERSION,
        _WILL_OBJECTIONS.get(reason.value, "") if has_will else "",
    )


def ended(flags: paho.DisconnectFlags, reason: ReasonCode, properties: Properties | None, error: str) -> Ended:
    """Read a DISCONNECT, or what paho says of a connection that ended without one, after it logged *error*."""
    if flags.is_disconnect_packet_from_server:
        advice = remedy(reason.value, server_reference(properties))
        return Ended(_CAUSES.get(reason.value, Cause.STATED), f"broker: {words(reason, properties)}{advice}")
    if not reason.is_failure:
        return Ended(Cause.OURS, "closed by us")
    if reason == "Keep alive timeout":
        return Ended(Cause.SILENCE, "no answer within the keepalive")
    text = "not understood" if reason == "Protocol error" else "connection closed"
    return Ended(Cause.BROKER, f"{text} ({error})" if error else text)


def subscription_refusal(reason: ReasonCode, *, needs_qos_1: bool) -> str | None:
    """Why a subscription is not what it should be; None where it is. Only QoS 1 has anything to acknowledge."""
    if reason.is_failure:
        known = reason.value == _NOT_AUTHORIZED  # that it is the ACL goes without saying
        return reason.getName() if known else f"{reason.getName()}{remedy(reason.value) or _NO_REASON}"
    return "granted in QoS 0 only" if needs_qos_1 and reason.value == 0 else None


def words(reason: ReasonCode, properties: Properties | None) -> str:
    """Name *reason*, and add what the broker says about it."""
    detail = getattr(properties, "ReasonString", "")
    return f"{reason.getName()} ({detail})" if detail else reason.getName()
