"""What ends of connections mean: an old broker, a second client with our name, a key to change. Pure."""

from __future__ import annotations

import errno
import socket
import ssl
from typing import TYPE_CHECKING, Final, Literal

from edge_worker.mqtt.connection_events import Cause

if TYPE_CHECKING:
    from edge_worker.config.mqtt import MqttConfig, ReconnectConfig, TlsConfig
    from edge_worker.mqtt.connection_events import ConnectOptions
    from edge_worker.mqtt.events import Protocol

CLOSES_BEFORE_FALLBACK: Final = 2
"""A connection closed before CONNACK may be a broker that is just starting; two in a row look like one that does not
know MQTT 5."""

KICKS_BEFORE_SUSPICION: Final = 3

KICK_WAITS, KICK_MIN_S = 8, 2.0
"""Two clients with one id disconnect each other. At first each stays away for 1, 2 and 4 times ``min_s``, so the
other's connections last about as long. Up to twice that is short, and up to 2 s in any case, for busy machines."""

_UNREACHABLE_ERRNOS: Final = frozenset({errno.ENETUNREACH, errno.ENETDOWN, errno.EHOSTUNREACH, errno.EHOSTDOWN})

_REMEDIES: Final = {
    135: "grant it in the broker's ACL",
    137: "the broker is busy",
    141: "lower mqtt.keepalive_s",
    143: "check the topics in the configuration",
    144: "check the topics in the configuration",
    147: "lower cameras[].prefetch",
    149: "raise the broker's packet size, or lower mqtt.max_result_mb",
    150: "raise the broker's rate limit, or cameras[].min_interval_s",
    151: "raise the broker's quota",
    154: "the broker has no retained messages: node.retain and output.*.retain: false",
    155: "lower the qos keys of cameras and output",
    158: "the broker has no shared subscriptions: remove cameras[].share_group",
    159: "raise the broker's connection rate limit",
    161: "the broker has no subscription identifiers",
    162: "the broker has no wildcard subscriptions: name each camera's topic",
}
"""Keys to change, or what else to do, by the reason of a DISCONNECT (MQTT 5, table 3-10)."""

_OTHER_SERVER: Final = frozenset({156, 157})
"""Use another server; server moved."""

Symptom = Literal["unsupported", "silent", "closed"]
"""How an attempt failed that may be the protocol's fault: refused for it, no CONNACK in time, closed before CONNACK."""


class ProtocolChoice:
    """Which version to speak: the configured one, or (``auto``) 5 until the broker turns out not to know it.

    Once a connection was accepted the choice stands, as a broker in trouble looks like an old one, until a broker says
    that it does not know the version: another one has taken its place. The same trouble before the first connection (a
    proxy accepts for a broker that is not up yet) must not decide for 3.1.1 either: that choice is tested once more.
    """

    def __init__(self, configured: Literal["auto", "5", "3.1.1"]) -> None:
        """Begin with the *configured* version."""
        self.current: Protocol = "5" if configured == "auto" else configured
        self._is_free = configured == "auto"
        self._settled = False
        self._closes = 0
        self._neither_worked = self._is_retest = False
        self.in_doubt = False
        """Whether a broker that accepts 3.1.1 now may know 5 as well: we then disconnect and ask for 5."""

    def accepted(self) -> bool:
        """Note that the broker accepted us; returns whether the choice stands."""
        if self.in_doubt:
            self.current, self.in_doubt, self._is_retest = "5", False, True
        else:
            self._settled = True
        return self._settled

    def failed(self, symptom: Symptom) -> bool:
        """Note a failed attempt; True when the other version comes next."""
        if not self._is_free or (self._settled and symptom != "unsupported"):
            return False
        self._closes += 1
        if symptom == "closed" and self._closes < CLOSES_BEFORE_FALLBACK and not self._is_retest:
            return False
        self._closes = 0
        if self.current == "5":
            may_be_trouble = symptom == "closed" or (symptom == "silent" and self._neither_worked)
            self.current, self.in_doubt = "3.1.1", may_be_trouble and not self._is_retest
        else:
            self.current, self.in_doubt, self._neither_worked = "5", False, True
        self._is_retest = False
        return True


class TakeoverWatch:
    """Notices that another client uses our client id: the two disconnect each other, for ever."""

    def __init__(self, reconnect: ReconnectConfig) -> None:
        """A connection is short if it lasted about as long as another client with these waiting times stays away."""
        self._short_s = min(reconnect.stable_s, max(KICK_MIN_S, KICK_WAITS * reconnect.min_s))
        self._kicks = 0

    def ended(self, cause: Cause, lasted_s: float) -> Literal["certain", "likely"] | None:
        """Note how an accepted connection ended; several short ones in a row are a sign.

        MQTT 3.1.1 has no other sign, and Mosquitto 2.0.11 gives none in MQTT 5 either.
        """
        if cause is Cause.TAKEN_OVER:
            return "certain"
        self._kicks = self._kicks + 1 if cause is Cause.BROKER and lasted_s < self._short_s else 0
        if self._kicks < KICKS_BEFORE_SUSPICION:
            return None
        self._kicks = 0
        return "likely"


def remedy(reason: int, server: str = "") -> str:
    """Say what to do about the *reason* of a DISCONNECT or CONNACK, to follow its name; empty where nothing is known.

    *server* is the Server Reference (MQTT 5, section 4.11). It is reported, not followed: whoever can answer in a
    broker's place must not send our frames and password elsewhere.
    """
    if reason in _OTHER_SERVER:
        return f": set mqtt.host and mqtt.port to {server}" if server else ": set mqtt.host; it does not say to which"
    return f": {_REMEDIES[reason]}" if reason in _REMEDIES else ""


def reached_nobody(error: Exception) -> bool:
    """Tell whether *error* means that no broker was there, so that trying again soon disturbs nobody."""
    if isinstance(error, ConnectionRefusedError | FileNotFoundError | socket.gaierror):
        return True
    return isinstance(error, OSError) and error.errno in _UNREACHABLE_ERRNOS


def explain(error: Exception) -> str:
    """Explain to an operator why there is no connection."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"the broker's certificate is not accepted: {error.verify_message}"
    if isinstance(error, ssl.SSLError):
        return f"TLS failed: {getattr(error, 'reason', None) or error}"
    if isinstance(error, TimeoutError):
        return "no answer from the host (timed out)"
    if isinstance(error, ConnectionResetError):  # not a closed port: somebody did not like our CONNECT
        return "connection cut off at its beginning: is mqtt.port the one with TLS, or the one without (mqtt.tls)?"
    if isinstance(error, OSError):
        return error.strerror or str(error)
    return str(error)


def suspicion(config: MqttConfig, options: ConnectOptions) -> str:
    """Guess what a broker missed, or does not know, that closes the connection without answering CONNECT."""
    version = " does it know MQTT 5 (mqtt.protocol)?" if options.protocol == "5" else ""
    return f"{_missed(config.tls)}{version}{dots_hint(options.will.topic if options.will else '')}"


def dots_hint(*topics: str) -> str:
    """Return what some brokers may object to in *topics*, to be appended to a reason; empty where there is nothing."""
    dotted = next((topic for topic in topics if "." in topic), "")
    cause = "NATS takes none, RabbitMQ takes it for '/'; node.id is the host's name where it is not set"
    return f" is it the '.' in {dotted} ({cause})?" if dotted else ""


def _missed(tls: TlsConfig | None) -> str:
    if tls is None:
        return "does it expect TLS (mqtt.tls)?"
    if tls.cert_file is None:
        return "does it want a client certificate (mqtt.tls.cert_file)?"
    return "does it refuse the client certificate (mqtt.tls.cert_file), as expired or of another authority? wrong port?"
