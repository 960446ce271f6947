"""The other nodes of a group, by their retained statuses: who is there, and who is gone. Pure.

The caller holds one lock around every call.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

SETTLE_S: Final = 2.0
"""A broker that stops publishes everybody's will; who is there says so again when the broker is."""


@dataclass(frozen=True, slots=True)
class PeerStatus:
    """What matters of the status of another node."""

    state: str
    groups: frozenset[str]

    @classmethod
    def read(cls, payload: bytes) -> PeerStatus:
        """Read a status message; whatever else stands on the topic, a deleted one too, is a node that is gone."""
        try:
            content: Any = json.loads(payload)
            return cls(str(content["state"]), frozenset(map(str, content.get("groups", ()))))
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            return cls("offline", frozenset())


@dataclass(slots=True)
class _Peer:
    status: PeerStatus | None = None
    in_doubt_since: float | None = None


class Peers:
    """What is known of the other nodes now, from the connection that statuses come by without delay."""

    def __init__(self, grace_s: float) -> None:
        """A node that is offline is gone after SETTLE_S seconds, one that is not online either after *grace_s*."""
        self._grace_s = grace_s
        self._peers: dict[str, _Peer] = {}

    def heard(self, node: str, status: PeerStatus, now: float) -> None:
        """Take note of the status of *node*."""
        peer = self._peers.setdefault(node, _Peer())
        peer.status = status
        if status.state == "online":
            peer.in_doubt_since = None
        elif peer.in_doubt_since is None:
            peer.in_doubt_since = now

    def cut_off(self, now: float) -> None:
        """Give nobody up while nothing can be heard."""
        self._doubt(now, since=math.inf)

    def reconnected(self, now: float) -> None:
        """Doubt every node that is not heard of again: the broker may have forgotten its status, and its will."""
        self._doubt(now, since=now)

    def _doubt(self, now: float, *, since: float) -> None:
        for peer in self._peers.values():
            if not self._is_overdue(peer, now):
                peer.in_doubt_since = since

    def gone(self, group: str, nodes: Iterable[str], now: float) -> frozenset[str]:
        """Return which of *nodes*, which were members of *group*, answer no frames of it any more."""
        peers = {node: self._peers.setdefault(node, _Peer(in_doubt_since=now)) for node in nodes}
        return frozenset(node for node, peer in peers.items() if _left(group, peer) or self._is_overdue(peer, now))

    def _is_overdue(self, peer: _Peer, now: float) -> bool:
        offline = peer.status is not None and peer.status.state == "offline"
        patience_s = SETTLE_S if offline else self._grace_s
        return peer.in_doubt_since is not None and now - peer.in_doubt_since > patience_s


def _left(group: str, peer: _Peer) -> bool:
    return peer.status is not None and peer.status.state == "online" and group not in peer.status.groups
