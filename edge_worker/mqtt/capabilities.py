"""What a broker can do, as its CONNACK says (MQTT 5, section 3.2.2.3), and what follows for us. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Iterator

    from edge_worker.mqtt.events import Protocol
    from edge_worker.mqtt.message import Outgoing, Subscription


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What the broker can do; MQTT 3.1.1 does not say, and has no shared subscriptions."""

    retain: bool = True
    max_qos: Literal[0, 1] = 1
    wildcards: bool = True
    shared: bool = True

    @classmethod
    def of(cls, protocol: Protocol, properties: object) -> Capabilities:
        """Read the *properties* of CONNACK; a capability that they do not mention is present."""
        if protocol == "3.1.1":
            return cls(shared=False)
        return cls(
            retain=bool(getattr(properties, "RetainAvailable", 1)),
            max_qos=1 if getattr(properties, "MaximumQoS", 1) else 0,
            wildcards=bool(getattr(properties, "WildcardSubscriptionAvailable", 1)),
            shared=bool(getattr(properties, "SharedSubscriptionAvailable", 1)),
        )

    def adapt(self, message: Outgoing) -> Outgoing:
        """Return *message* as this broker accepts it: without retain, or in QoS 0, where it supports no more."""
        if (message.retain and not self.retain) or message.qos > self.max_qos:
            return replace(message, retain=message.retain and self.retain, qos=0 if self.max_qos == 0 else message.qos)
        return message

    def objection(self, subscription: Subscription) -> str:
        """Why this broker must not be asked for *subscription*, with the key to change; empty where it may."""
        if subscription.share_group and not self.shared:
            return (
                "shared subscriptions need MQTT 5 and a broker that has them; others take $share for a plain topic:"
                " remove cameras[].share_group"
            )
        if not self.wildcards and {"+", "#"} & set(subscription.filter.split("/")):
            return "the broker has no wildcard subscriptions: name each camera in cameras[].topic"
        return ""

    def shortcomings(self) -> Iterator[str]:
        """Describe to an operator what is missing, and what is no longer guaranteed."""
        if not self.retain:
            yield "the broker keeps no retained messages: status, model card and results are not retained"
        if self.max_qos == 0:
            yield "the broker takes QoS 0 only: nothing is acknowledged, and `every` can lose frames and results"
