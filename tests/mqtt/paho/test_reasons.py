"""Reason codes, and what follows from them."""

from __future__ import annotations

import pytest
from paho.mqtt.client import DisconnectFlags
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from edge_worker.mqtt.connection_events import Cause
from edge_worker.mqtt.paho import reasons

BY_BROKER, WITHOUT_PACKET = DisconnectFlags(is_disconnect_packet_from_server=True), DisconnectFlags(False)


@pytest.mark.parametrize(("code", "permanent"), [(134, True), (135, True), (133, True), (136, False), (151, False)])
def test_only_what_a_person_must_change_is_permanent(code: int, *, permanent: bool) -> None:
    """A busy broker is asked again soon, one that knows the password for wrong is not."""
    reason = ReasonCode(PacketTypes.CONNACK, identifier=code)
    assert reasons.connect_refused(reason, None, has_will=True, is_free=True).permanent == permanent


def test_an_objection_to_the_will_needs_a_will() -> None:
    """Else the next attempt would change what is not there."""
    reason = ReasonCode(PacketTypes.CONNACK, identifier=154)
    objections = [
        reasons.connect_refused(reason, None, has_will=has, is_free=True).will_objection for has in (True, False)
    ]
    assert objections == ["retain", ""]


def test_a_fixed_version_that_the_broker_does_not_know_is_named_by_its_key() -> None:
    """Where the version is free, the next attempt speaks the other one and nothing is to be done."""
    reason = ReasonCode(PacketTypes.CONNACK, identifier=132)
    fixed, free = (reasons.connect_refused(reason, None, has_will=True, is_free=free) for free in (False, True))
    assert "mqtt.protocol: auto" in fixed.reason
    assert "mqtt.protocol" not in free.reason
    assert fixed.unsupported_version
    assert free.unsupported_version


@pytest.mark.parametrize(
    ("code", "cause"),
    [(128, Cause.BROKER), (135, Cause.DENIED), (139, Cause.STATED), (142, Cause.TAKEN_OVER), (149, Cause.TOO_LARGE)],
)
def test_a_disconnect_tells_its_cause(code: int, cause: Cause) -> None:
    """By its code; what the broker says in words is repeated."""
    properties = Properties(PacketTypes.DISCONNECT)  # type: ignore[no-untyped-call]
    properties.ReasonString = "so there"
    ended = reasons.ended(BY_BROKER, ReasonCode(PacketTypes.DISCONNECT, identifier=code), properties, "")
    assert ended.cause is cause
    assert ended.reason.startswith("broker: ")
    assert "(so there)" in ended.reason


def test_an_end_without_a_word_is_told_from_our_own() -> None:
    """Paho says which by a reason of its own; its log has the error."""
    ours = reasons.ended(WITHOUT_PACKET, ReasonCode(PacketTypes.DISCONNECT, "Normal disconnection"), None, "")
    cut = reasons.ended(WITHOUT_PACKET, ReasonCode(PacketTypes.DISCONNECT, "Unspecified error"), None, "reset")
    silent = reasons.ended(WITHOUT_PACKET, ReasonCode(PacketTypes.DISCONNECT, "Keep alive timeout"), None, "")
    assert [ours.cause, cut.cause, silent.cause] == [Cause.OURS, Cause.BROKER, Cause.SILENCE]
    assert "reset" in cut.reason


def test_a_subscription_in_qos_0_is_refused_where_frames_are_acknowledged() -> None:
    """A frame in QoS 0 could not be left to the broker until its result is there."""
    granted = ReasonCode(PacketTypes.SUBACK, identifier=0)
    assert reasons.subscription_refusal(granted, needs_qos_1=False) is None
    assert reasons.subscription_refusal(granted, needs_qos_1=True) == "granted in QoS 0 only"
    assert reasons.subscription_refusal(ReasonCode(PacketTypes.SUBACK, identifier=128), needs_qos_1=False)
