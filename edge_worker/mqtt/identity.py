"""How a link identifies itself at each connection. Pure but for the password, which is read anew."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from edge_worker.mqtt.connection_events import ConnectOptions

if TYPE_CHECKING:
    from collections.abc import Callable

    from edge_worker.config.mqtt import MqttConfig
    from edge_worker.mqtt.events import Protocol
    from edge_worker.mqtt.message import Will


@dataclass(frozen=True, slots=True)
class Identity:
    """What stays the same.

    ``persistent`` acknowledges by hand, and has a session that outlives connections unless it ``forgets``.
    """

    config: MqttConfig
    client_id: str
    persistent: bool
    will: Will | None
    receive_maximum: int | None
    password: Callable[[], str | None] = field(repr=False)
    forgets: bool = False

    def connect_options(self, protocol: Protocol, *, was_accepted: bool) -> ConnectOptions:
        """What to say in *protocol*; *was_accepted*: this process was let in before.

        Raises:
            ConfigError: the password cannot be read.
        """
        return ConnectOptions(
            client_id=self.client_id,
            protocol=protocol,
            clean_start=self._wants_clean_start(protocol, was_accepted=was_accepted),
            manual_ack=self.persistent,
            session_expiry_s=self._session_expiry_s(),
            receive_maximum=self.receive_maximum,
            will=self.will,
            password=self.password(),
        )

    def _wants_clean_start(self, protocol: Protocol, *, was_accepted: bool) -> bool:
        """Whether the broker shall forget us first: at the start, what an earlier process subscribed to.

        At a reconnect it would publish the will at once instead of after its delay. MQTT 3.1.1 has no delay, and no
        session that ends by itself.
        """
        return self.forgets or (not self.persistent and (protocol == "3.1.1" or not was_accepted))

    def _session_expiry_s(self) -> int:
        if self.persistent and not self.forgets:
            return self.config.session_expiry_s
        return self.config.will_delay_s if self.will is not None else 0  # a will is sent when its session ends
