"""The other nodes of a group, by their retained statuses: who is there, and who is gone. Pure.

The caller holds one lock around every call.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from edge_worker.common.topics import clean_text
from edge_worker.messages import MAX_STATUS_BYTES

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable


_MAX_SESSION: Final = 64
"""Bytes; ours have 16."""


@dataclass(frozen=True, slots=True)
class PeerStatus:
    """What matters of the status of another node; ``session`` can be said back to it."""

    state: str
    groups: frozenset[str]
    session: str = ""

    @classmethod
    def read(cls, payload: bytes, ours: Collection[str]) -> PeerStatus:
        """Read a status message, and which of the groups *ours* it names.

        Anything else on the topic, such as a deleted one, means a node that is gone.
        """
        try:
            content: Any = json.loads(payload if len(payload) <= MAX_STATUS_BYTES else b"")
            groups = frozenset(map(str, content.get("groups", ()))).intersection(ours)
            return cls(str(content["state"]), groups, clean_text(str(content.get("session", "")), _MAX_SESSION))
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            return cls("offline", frozenset())


@dataclass(slots=True)
class Members:
    """The other members of a group, as one link reports them.

    They are ``forgotten`` with its session: what was held for them is in no session of ours any more.
    """

    nodes: frozenset[str] = frozenset()
    forgotten: bool = False

    def take(self, node: str, status: PeerStatus, group: str, *, may_leave: bool) -> None:
        """Note the *status* of *node*; one that is neither online nor offline stays what it was.

        In the frames' session no node *may_leave*: a status there may be old.
        """
        if status.state == "online" and group in status.groups:
            self.nodes |= {node}
        elif may_leave and (status.state == "offline" or group not in status.groups):
            self.nodes -= {node}


@dataclass(slots=True)
class _Peer:
    status: PeerStatus | None = None
    in_doubt_since: float | None = None


class Peers:
    """What is known of the other nodes, from the link on which statuses come without delay."""

    def __init__(self, *, settle_s: float, grace_s: float) -> None:
        """A node that is offline is gone after *settle_s* seconds, one that is not online either after *grace_s*.

        The former gives a broker that stops, and publishes everybody's will, time to end our connection.
        """
        self._settle_s, self._grace_s = settle_s, grace_s
        self._peers: dict[str, _Peer] = {}

    def heard(self, node: str, status: PeerStatus, now: float) -> None:
        """Note the status of *node*."""
        peer = self._peers.setdefault(node, _Peer())
        peer.status = status
        if status.state == "online":
            peer.in_doubt_since = None
        elif peer.in_doubt_since is None:
            peer.in_doubt_since = now

    def joined(self, node: str, now: float) -> None:
        """Doubt *node* again, if it was gone: it was heard among the frames, and the same news may be on its way here.

        Or it is old news, and the node is soon gone again.
        """
        peer = self._peers.setdefault(node, _Peer(in_doubt_since=now))
        if self._is_overdue(peer, now):
            peer.in_doubt_since = now

    def disconnected(self, now: float) -> None:
        """Give no node up while nothing can be heard."""
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

    def due_in_s(self, now: float) -> float:
        """Return in how many seconds the next node is gone, if nothing is heard of it; infinite if none is in doubt."""
        left = (self._left_s(peer, now) for peer in self._peers.values())
        return min((seconds for seconds in left if seconds >= 0), default=math.inf)

    def _is_overdue(self, peer: _Peer, now: float) -> bool:
        return self._left_s(peer, now) < 0

    def _left_s(self, peer: _Peer, now: float) -> float:
        """Seconds until *peer* is gone; negative once it is."""
        if peer.in_doubt_since is None:
            return math.inf
        offline = peer.status is not None and peer.status.state == "offline"
        return peer.in_doubt_since + (self._settle_s if offline else self._grace_s) - now


def _left(group: str, peer: _Peer) -> bool:
    return peer.status is not None and peer.status.state == "online" and group not in peer.status.groups
