"""What a link learns from the end of each connection: how to make the next one, and when."""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

from edge_worker.mqtt.backoff import Backoff, Failure
from edge_worker.mqtt.connection_events import Cause, ConnectOptions
from edge_worker.mqtt.diagnosis import ProtocolChoice, TakeoverWatch
from edge_worker.mqtt.ending import Ending
from edge_worker.mqtt.events import ClientIdAssigned, TakenOver, Unreachable
from edge_worker.mqtt.reachability import somebody_listens

if TYPE_CHECKING:
    from collections.abc import Callable

    from edge_worker.config.mqtt import MqttConfig
    from edge_worker.mqtt.events import LinkEvent, Protocol
    from edge_worker.mqtt.message import Will
    from edge_worker.mqtt.outbox import Outbox
    from edge_worker.mqtt.status import StatusBoard

_UNEXPLAINED: Final = (Cause.BROKER, Cause.STATED, Cause.SUBSCRIBE)
"""Causes of an end behind which the broker may have stopped; its port tells."""


@dataclass(frozen=True, slots=True)
class Identity:
    """How a link identifies itself at each connection.

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
        """Options for a CONNECT in *protocol*; *was_accepted*: the broker has accepted this process before.

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
        """Whether the broker is to discard our session first: at the start, for what an earlier process subscribed to.

        At a reconnect it would publish the will at once instead of after its delay. MQTT 3.1.1 has no delay, and no
        session that ends by itself.
        """
        return self.forgets or (not self.persistent and (protocol == "3.1.1" or not was_accepted))

    def _session_expiry_s(self) -> int:
        if self.persistent and not self.forgets:
            return self.config.session_expiry_s
        return self.config.will_delay_s if self.will is not None else 0  # a will is sent when its session ends


class Reconnection:
    """Protocol, identity and waiting times from one connection to the next. Belongs to the link's thread."""

    def __init__(
        self,
        config: MqttConfig,
        *,
        name: str,
        identity: Identity,
        outbox: Outbox,
        status_board: StatusBoard,
        report: Callable[[LinkEvent], None],
    ) -> None:
        """Begin as *config* and *identity* say; *outbox* tells what connections may have ended over."""
        self._config, self._name, self._identity = config, name, identity
        self._outbox, self._status_board, self._report = outbox, status_board, report
        self._protocol = ProtocolChoice(config.protocol)
        self._backoff, self._takeovers = Backoff(config.reconnect), TakeoverWatch(config.reconnect)
        self._was_accepted = False
        self.fallback = ""
        """Why the next connection speaks the older protocol; empty if it does not."""

    def connect_options(self) -> ConnectOptions:
        """What the next connection is to ask for.

        Raises:
            ConfigError: the password cannot be read.
        """
        return self._identity.connect_options(self._protocol.current, was_accepted=self._was_accepted)

    @property
    def expects_session(self) -> bool:
        """Whether the broker should know us."""
        return self._identity.persistent and not self._identity.forgets and self._was_accepted

    @property
    def in_doubt(self) -> bool:
        """Whether :attr:`fallback` may have another reason than the protocol."""
        return self._protocol.in_doubt

    def take_client_id(self, assigned: str) -> None:
        """Reconnect by the client id that the broker *assigned*."""
        self._report(ClientIdAssigned(self._name, self._identity.client_id, assigned))
        self._identity = replace(self._identity, client_id=assigned)

    def wait_s(self, ending: Ending) -> float:
        """Report *ending* and draw the conclusions from it; returns the seconds to wait before the next attempt."""
        if ending.will_objection and self._identity.will is not None:  # with another will the broker may accept us
            change: dict[str, Any] = {"retain": False} if ending.will_objection == "retain" else {"qos": 0}
            self._identity = replace(self._identity, will=replace(self._identity.will, **change))
            ending = replace(ending, failure=Failure.EXPLAINED)
        if self._falls_back(ending):  # then a refused version is no refusal
            ending = Ending(Failure.FAILED, Unreachable(self._name, ending.event.reason))
        if ending.cause is not Cause.OURS:  # else it is back in a moment, or says why it is not
            self._status_board.note(connected=False, subscribed=False, trouble=ending.event.reason)
        self._report(ending.event)
        ending = self._explained(ending)
        self._learn(ending)
        if ending.failure is None:
            return 0.0
        return self._backoff.wait_s(ending.failure, ending.lasted_s or 0.0)

    def _explained(self, ending: Ending) -> Ending:
        """Name the cause of an *ending* that the broker did not explain, where there are signs of one."""
        if ending.cause in _UNEXPLAINED and not somebody_listens(self._config):
            return replace(ending, cause=Cause.BROKER_DOWN, failure=Failure.CLOSED_PORT)
        if ending.cause is Cause.BROKER and self._outbox.blamed:  # then no other client ended it
            if self._outbox.withheld(time.monotonic()):
                self._status_board.note(conflict="")
            return replace(ending, cause=Cause.REFUSAL)
        if ending.cause is Cause.DENIED and not self._outbox.blamed:  # no message that would be tried less often
            return replace(ending, failure=Failure.FAILED)
        return ending

    def _falls_back(self, ending: Ending) -> bool:
        """Whether the next attempt speaks the other version because of *ending*."""
        if ending.symptom is None or not self._protocol.failed(ending.symptom):
            return False
        self.fallback = ending.event.reason if self._protocol.current == "3.1.1" else ""
        return True

    def _learn(self, ending: Ending) -> None:
        if ending.lasted_s is None or ending.cause is None:
            return
        self.fallback = ""
        self._was_accepted |= self._protocol.accepted()
        verdict = self._takeovers.ended(ending.cause, ending.lasted_s)
        if verdict is not None:
            taken_over = TakenOver(self._name, self._identity.client_id, certain=verdict == "certain")
            self._status_board.note(takeovers=self._status_board.status.takeovers + 1, conflict=taken_over.explanation)
            self._report(taken_over)
