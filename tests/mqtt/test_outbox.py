"""Messages on their way out, over refusals and lost connections."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from outboxes import make_outgoing, send_all

from edge_worker.mqtt.connection_events import Cause
from edge_worker.mqtt.message import Outgoing
from edge_worker.mqtt.outbox import (
    FULL_WAITING,
    FULL_WAITING_BYTES,
    MAX_IN_FLIGHT,
    MAX_IN_FLIGHT_BYTES,
    MAX_WAITING,
    MAX_WAITING_BYTES,
    Outbox,
)

NOW = 0.0  # where only the order of things matters


def test_nothing_is_handed_out_before_a_connection() -> None:
    """What is published early waits."""
    outbox = Outbox()
    assert outbox.add(make_outgoing(), 10, NOW) == []
    assert outbox.take(0.0) is None
    outbox.connected(None, None, 0.0)
    assert outbox.take(0.0) is not None


def test_the_window_bounds_what_is_in_flight() -> None:
    """Never more than the broker's Receive Maximum, nor than our own number, nor than so many bytes."""
    for limit, size, expected in (
        (3, 10, 3),
        (None, 10, MAX_IN_FLIGHT),
        (1000, 10, MAX_IN_FLIGHT),
        (None, MAX_IN_FLIGHT_BYTES // 2, 2),
    ):
        outbox = Outbox()
        outbox.connected(limit, None, 0.0)
        for _ in range(30):
            outbox.add(make_outgoing(must_arrive=True), size, NOW)
        assert len(send_all(outbox, itertools.count(1))) == expected


def test_a_message_larger_than_the_window_flies_alone() -> None:
    """It would else never be sent."""
    outbox, mids = Outbox(), itertools.count(1)
    outbox.connected(None, None, 0.0)
    outbox.add(make_outgoing(), MAX_IN_FLIGHT_BYTES * 2, NOW)
    outbox.add(make_outgoing(), 10, NOW)
    assert len(send_all(outbox, mids)) == 1
    outbox.arrived(1, NOW)
    assert len(send_all(outbox, mids)) == 1


def test_the_oldest_gives_way_while_the_broker_is_away() -> None:
    """Memory is bounded, by number and by bytes; what must arrive is kept whatever comes."""
    kept = make_outgoing(must_arrive=True)
    by_number, by_bytes = Outbox(), Outbox()
    by_number.add(kept, 10, NOW)
    messages = [make_outgoing() for _ in range(MAX_WAITING + 5)]
    given_up = [lost.publication for m in messages for lost in by_number.add(m, 10, NOW)]
    assert given_up == [m.publication for m in messages[:5]]
    assert len(by_number) == MAX_WAITING + 1
    large = [make_outgoing() for _ in range(5)]
    given_up = [lost.publication for m in large for lost in by_bytes.add(m, MAX_WAITING_BYTES // 3, NOW)]
    assert given_up == [m.publication for m in large[:2]]
    assert by_bytes.lost == 2


@pytest.mark.parametrize(("count", "size"), [(MAX_IN_FLIGHT + FULL_WAITING, 10), (2, MAX_IN_FLIGHT_BYTES)])
def test_it_is_full_before_results_grow_old_in_it(count: int, size: int) -> None:
    """What flies is not counted; what has to wait for it is. A few small messages are none to speak of."""
    outbox, mids = Outbox(), itertools.count(1)
    outbox.connected(None, None, 0.0)
    for _ in range(count):
        outbox.add(make_outgoing(), size, NOW)
    sent = send_all(outbox, mids)
    fuller = [outbox.is_full]
    outbox.add(make_outgoing(), 10, NOW)
    fuller.append(outbox.is_full)
    for mid in sent:
        outbox.arrived(mid, NOW)
    send_all(outbox, mids)
    assert [*fuller, outbox.is_full] == [size > 10, True, False]


@pytest.mark.parametrize(("count", "size"), [(FULL_WAITING + 1, 10), (1, FULL_WAITING_BYTES + 1)])
def test_what_was_refused_does_not_make_it_full(count: int, size: int) -> None:
    """Maps to be retained wait for their right, for hours if need be: no reason to hold up all other answers."""
    outbox, mids = Outbox(), itertools.count(1)
    outbox.connected(None, None, 0.0)
    for number in range(count):
        outbox.add(Outgoing(f"parsing/{number}/colormap", b"", retain=True), size, NOW)
    for mid in send_all(outbox, mids):
        outbox.refused(mid, "no rights", NOW)
    assert len(outbox) == count
    assert not outbox.is_full


def test_labels_wait_until_the_broker_has_their_map() -> None:
    """Also over a refusal of the map and a lost connection; what belongs to other frames goes on."""
    outbox, mids = Outbox(), itertools.count(1)
    outbox.connected(None, None, 0.0)
    map_ = make_outgoing(must_arrive=True)
    labels = replace(make_outgoing(must_arrive=True), after=frozenset({map_.publication}))
    other = make_outgoing(must_arrive=True)
    for each in (map_, labels, other):
        outbox.add(each, 10, NOW)
    assert send_all(outbox, mids) == {1: map_.publication, 2: other.publication}
    outbox.arrived(2, NOW)
    outbox.refused(1, "no rights", 0.0)
    assert send_all(outbox, mids, now=0.5) == {}
    outbox.disconnected(Cause.BROKER, 1.0)
    outbox.connected(None, None, 1.0)
    assert send_all(outbox, mids, now=2.0) == {3: map_.publication}
    outbox.arrived(3, NOW)
    assert send_all(outbox, mids, now=2.0) == {4: labels.publication}


def test_a_refused_state_is_tried_again_until_there_is_a_newer_one() -> None:
    """Who retains a status must not be left with a stale one when the operator grants the right."""
    outbox, mids = Outbox(), itertools.count(1)
    outbox.connected(None, None, 0.0)
    first, second, third = (Outgoing("status", b"", retain=True) for _ in range(3))
    outbox.add(first, 10, NOW)
    send_all(outbox, mids)
    assert outbox.refused(1, "no rights", 0.0) == (first, [])
    assert outbox.withheld(NOW) == "status (no rights)"
    (gone,) = outbox.add(second, 10, NOW)
    assert gone.publication == first.publication
    assert send_all(outbox, mids, now=0.5) == {}
    assert send_all(outbox, mids, now=1.0) == {2: second.publication}
    outbox.add(third, 10, NOW)
    refused = outbox.refused(2, "no rights", 1.0)
    assert refused is not None
    assert [gone.publication for gone in refused[1]] == [second.publication]
    assert send_all(outbox, mids, now=1.0) == {3: third.publication}
    assert outbox.withheld(NOW) == ""


def test_qos_0_is_not_kept_for_later() -> None:
    """Published while there is no connection, or in flight when it ends, it is lost, and that is said."""
    outbox = Outbox()
    early, late = make_outgoing(qos=0), make_outgoing(qos=0)
    assert [lost.publication for lost in outbox.add(early, 1, NOW)] == [early.publication]
    outbox.connected(None, None, 0.0)
    outbox.add(late, 1, NOW)
    send_all(outbox, itertools.count(1))
    assert [lost.publication for lost in outbox.disconnected(Cause.SILENCE, NOW)] == [late.publication]


def test_what_was_in_flight_is_sent_again_first() -> None:
    """Order survives a lost connection."""
    outbox, mids = Outbox(), itertools.count(1)
    outbox.connected(2, None, 0.0)
    messages = [make_outgoing() for _ in range(4)]
    for m in messages:
        outbox.add(m, 1, NOW)
    send_all(outbox, mids)
    assert outbox.disconnected(Cause.SILENCE, NOW) == []
    outbox.connected(None, None, 0.0)
    assert list(send_all(outbox, mids).values()) == [m.publication for m in messages]


@pytest.mark.parametrize(("large", "given_up"), [("overlay", {"overlay"}), ("map", {"map", "labels"})])
def test_labels_go_with_a_map_that_is_given_up_and_not_with_an_overlay(large: str, given_up: set[str]) -> None:
    """Whoever has labels can have the map; an overlay is missed by nobody."""
    outbox, mids = Outbox(), itertools.count(1)
    overlay, map_ = make_outgoing(must_arrive=True), make_outgoing(must_arrive=True)
    images = frozenset({overlay.publication, map_.publication})
    labels = replace(make_outgoing(must_arrive=True), after=images, needs=frozenset({map_.publication}))
    names = {overlay.publication: "overlay", map_.publication: "map", labels.publication: "labels"}
    for each in (overlay, map_, labels):
        outbox.add(each, 100 if names[each.publication] == large else 10, NOW)
    assert {names[lost.publication] for lost in outbox.connected(None, 50, NOW)} == given_up
    arrived = set()
    while sent := send_all(outbox, mids):
        arrived |= {names[publication] for publication in sent.values()}
        for mid in sent:
            outbox.arrived(mid, NOW)
    assert arrived == {*names.values()} - given_up


def test_what_is_too_large_for_this_broker_is_given_up_when_it_says_so() -> None:
    """Its limit may be smaller than that of the connection before."""
    outbox = Outbox()
    outbox.add(make_outgoing(must_arrive=True), 100, NOW)
    outbox.add(make_outgoing(), 10, NOW)
    [lost] = outbox.connected(None, 50, 0.0)
    assert lost.too_large
    assert len(outbox) == 1


def test_refused_messages_keep_their_order() -> None:
    """A frame's map is published before its labels also when both were refused at first."""
    outbox, mids = Outbox(), itertools.count(1)
    outbox.connected(None, None, 0.0)
    for _ in range(3):
        outbox.add(make_outgoing(must_arrive=True), 10, NOW)
    for mid in (sent := send_all(outbox, mids)):
        outbox.refused(mid, "Not authorized", now=0.0)
    assert list(send_all(outbox, mids, now=1.0).values()) == list(sent.values())


def test_what_was_refused_and_must_arrive_is_tried_again_later() -> None:
    """Rights may be granted; meanwhile others pass. What need not arrive is given up."""
    outbox, mids = Outbox(), itertools.count(1)
    outbox.connected(None, None, 0.0)
    stubborn, other = make_outgoing(must_arrive=True), make_outgoing()
    outbox.add(stubborn, 1, NOW)
    outbox.add(other, 1, NOW)
    send_all(outbox, mids)
    assert outbox.refused(1, "Not authorized", now=0.0) == (stubborn, [])
    refused = outbox.refused(2, "Not authorized", now=0.0)
    assert refused is not None
    assert [lost.publication for lost in refused[1]] == [other.publication]
    assert send_all(outbox, mids, now=0.5) == {}
    assert list(send_all(outbox, mids, now=1.0).values()) == [stubborn.publication]
    outbox.refused(3, "Not authorized", now=1.0)
    assert send_all(outbox, mids, now=2.5) == {}
    assert len(send_all(outbox, mids, now=3.0)) == 1


class Post(RuleBasedStateMachine):
    """Every publication has exactly one end: arrived, given up, or still there."""

    def __init__(self) -> None:
        super().__init__()
        self.outbox, self.mids = Outbox(), itertools.count(1)
        self.now, self.online = 0.0, False
        self.added: set[int] = set()
        self.must: set[int] = set()
        self.in_flight: dict[int, int] = {}
        self.ended: list[int] = []

    @rule(
        must_arrive=st.booleans(), qos=st.sampled_from([0, 1]), size=st.sampled_from([1, 100, MAX_WAITING_BYTES // 2])
    )
    def add(self, must_arrive: bool, qos: int, size: int) -> None:  # noqa: FBT001 - drawn by hypothesis
        new = make_outgoing(must_arrive=must_arrive, qos=qos)
        self.added.add(new.publication)
        if must_arrive:
            self.must.add(new.publication)
        self.give_up(self.outbox.add(new, size, NOW))

    @precondition(lambda self: not self.online)
    @rule(window=st.sampled_from([None, 1, 3]), limit=st.sampled_from([None, 50]))
    def connect(self, window: int | None, limit: int | None) -> None:
        self.online = True
        too_large = self.outbox.connected(window, limit, self.now)
        self.must -= {lost.publication for lost in too_large}
        self.give_up(too_large)

    @precondition(lambda self: self.online)
    @rule(cause=st.sampled_from([Cause.OURS, Cause.SILENCE, Cause.TAKEN_OVER]))
    def disconnect(self, cause: Cause) -> None:
        self.online = False
        self.in_flight.clear()
        self.give_up(self.outbox.disconnected(cause, NOW))

    @rule(seconds=st.sampled_from([0.1, 10.0, 100.0]))
    def send(self, seconds: float) -> None:
        self.now += seconds
        self.in_flight |= send_all(self.outbox, self.mids, self.now)

    @precondition(lambda self: self.in_flight)
    @rule(data=st.data(), refused=st.booleans())
    def answer(self, data: st.DataObject, refused: bool) -> None:  # noqa: FBT001 - drawn by hypothesis
        mid = data.draw(st.sampled_from(sorted(self.in_flight)))
        publication = self.in_flight.pop(mid)
        if refused:
            outcome = self.outbox.refused(mid, "quota", self.now)
            assert outcome is not None
            self.give_up(outcome[1])
        else:
            assert self.outbox.arrived(mid, NOW) is not None
            self.ended.append(publication)

    def give_up(self, lost: list) -> None:  # type: ignore[type-arg]
        assert not {entry.publication for entry in lost} & self.must, "given up though it must arrive"
        self.ended += [entry.publication for entry in lost]

    @invariant()
    def each_has_one_end(self) -> None:
        assert len(self.ended) == len(set(self.ended))
        assert len(self.added) == len(self.ended) + len(self.outbox)


Post.TestCase.settings = settings(max_examples=40, stateful_step_count=40, deadline=None)
TestPost = Post.TestCase
