"""Who of a group is there, by what the others say of themselves."""

from __future__ import annotations

import json
import math

import pytest

from edge_worker.service.peers import Peers, PeerStatus

SETTLE_S, GRACE_S = 2.0, 10.0
ONLINE = PeerStatus("online", frozenset({"g"}))


@pytest.fixture
def peers() -> Peers:
    """Node ``one`` was online at 0 seconds."""
    peers = Peers(settle_s=SETTLE_S, grace_s=GRACE_S)
    peers.heard("one", ONLINE, 0.0)
    return peers


def gone(peers: Peers, now: float) -> set[str]:
    return set(peers.gone("g", {"one"}, now))


def test_a_node_that_is_online_stays(peers: Peers) -> None:
    """However long it says nothing: its last will would."""
    assert gone(peers, 1e6) == set()


def test_a_node_that_is_offline_is_gone_soon(peers: Peers) -> None:
    """Not at once: a broker that stops says it of everybody."""
    peers.heard("one", PeerStatus("offline", frozenset({"g"})), 1.0)
    assert gone(peers, 1.0 + SETTLE_S) == set()
    assert gone(peers, 1.1 + SETTLE_S) == {"one"}


def test_when_to_look_again_is_known(peers: Peers) -> None:
    """Cameras move as soon as they may, and nobody looks more often than needed."""
    assert peers.due_in_s(1.0) == math.inf
    peers.heard("one", PeerStatus("offline", frozenset({"g"})), 1.0)
    peers.heard("two", PeerStatus("degraded", frozenset({"g"})), 1.5)
    assert peers.due_in_s(1.5) == SETTLE_S - 0.5
    assert peers.due_in_s(4.0) == GRACE_S - 2.5
    assert peers.due_in_s(99.0) == math.inf


def test_a_node_that_has_left_the_group_is_gone(peers: Peers) -> None:
    """At once: it was started with another configuration."""
    peers.heard("one", PeerStatus("online", frozenset({"other"})), 1.0)
    assert gone(peers, 1.0) == {"one"}


def test_nobody_is_given_up_while_nothing_can_be_heard(peers: Peers) -> None:
    """Not for the will that a stopping broker published; who was gone before stays so."""
    peers.heard("two", PeerStatus("offline", frozenset({"g"})), 1.0)
    peers.heard("one", PeerStatus("offline", frozenset({"g"})), 9.0)
    peers.disconnected(9.1)
    assert peers.gone("g", {"one", "two"}, 99.0) == {"two"}
    peers.reconnected(100.0)
    peers.heard("one", PeerStatus("offline", frozenset({"g"})), 100.1)
    peers.heard("one", ONLINE, 101.0)
    assert peers.gone("g", {"one", "two"}, 200.0) == {"two"}


def test_a_node_that_is_held_up_has_a_while(peers: Peers) -> None:
    """Its model is replaced within seconds, mostly; each further word about that gives it no more time."""
    peers.heard("one", PeerStatus("degraded", frozenset({"g"})), 1.0)
    peers.heard("one", PeerStatus("loading", frozenset({"g"})), 9.0)
    assert gone(peers, 11.0) == set()
    assert gone(peers, 11.1) == {"one"}
    peers.heard("one", ONLINE, 12.0)
    assert gone(peers, 99.0) == set()


def test_a_node_that_the_broker_has_forgotten_is_gone(peers: Peers) -> None:
    """A broker that lost its store publishes no will; whoever is there says so again."""
    peers.reconnected(5.0)
    assert gone(peers, 15.0) == set()
    assert gone(peers, 15.1) == {"one"}


def test_a_member_that_is_only_known_from_the_frames_link_is_doubted(peers: Peers) -> None:
    """From when it is asked for."""
    assert peers.gone("g", {"two"}, 3.0) == set()
    assert peers.gone("g", {"two"}, 13.1) == {"two"}


def test_a_node_that_joins_among_the_frames_is_doubted_anew(peers: Peers) -> None:
    """The same news may be on its way to us; or what is among the frames is old, and the node is gone again soon."""
    peers.heard("one", PeerStatus("offline", frozenset({"g"})), 1.0)
    assert gone(peers, 9.0) == {"one"}
    peers.joined("one", 9.0)
    assert gone(peers, 9.0) == set()
    assert peers.due_in_s(9.5) == SETTLE_S - 0.5
    peers.joined("one", 10.0)
    assert gone(peers, 9.1 + SETTLE_S) == {"one"}


HUGE = json.dumps({"state": "online", "groups": ["g"], "session": "s" * 65_536}).encode()


@pytest.mark.parametrize(
    "payload", [b"", b"no json", b"[]", b'{"groups": 3}', b'{"state": "online", "groups": 3}', b"[" * 60_000, HUGE]
)
def test_what_is_no_status_is_no_member(payload: bytes) -> None:
    """A deleted status, or anything else on the topic."""
    assert PeerStatus.read(payload, {"g"}) == PeerStatus("offline", frozenset())


def test_of_a_status_little_is_kept() -> None:
    """Whatever stands in it; and its session can be written in a message."""
    payload = json.dumps({"state": "online", "groups": ["g", *map(str, range(999))], "session": "\ud800" * 99}).encode()
    status = PeerStatus.read(payload, {"g", "h"})
    assert status.groups == {"g"}
    assert len(status.session.encode()) <= 64
