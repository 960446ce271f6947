"""Messages on their way out, over refusals and lost connections."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from edge_worker.mqtt.connection_events import Cause
from edge_worker.mqtt.denials import RETRY_MIN_S
from edge_worker.mqtt.message import Outgoing
from edge_worker.mqtt.outbox import (
    FULL_WAITING,
    FULL_WAITING_BYTES,
    MAX_IN_FLIGHT,
    MAX_IN_FLIGHT_BYTES,
    MAX_WAITING,
    MAX_WAITING_BYTES,
    GivenUp,
    Outbox,
)
from edge_worker.mqtt.outbox_entry import MAX_ATTEMPTS, STABLE_S, SUSPECT_ATTEMPTS
from edge_worker.mqtt.size_limit import GUESS_S, MAX_ENDS, TELLING_BYTES, WRITTEN_S

NOW = 0.0  # where only the order of things matters
LARGE = 100_000


def message(*, must_arrive: bool = False, qos: int = 1) -> Outgoing:
    return Outgoing("t", b"", qos=qos, must_arrive=must_arrive)  # type: ignore[arg-type]


def send_all(outbox: Outbox, mids: itertools.count[int], now: float = 0.0) -> dict[int, int]:
    """Send what may be sent; returns publication by packet id."""
    sent = {}
    while (entry := outbox.take(now)) is not None:
        mid = next(mids)
        outbox.sent(mid, entry)
        sent[mid] = entry.message.publication
    return sent


def test_nothing_is_handed_out_before_a_connection() -> None:
    """What is published early waits."""
    outbox = Outbox()
    assert outbox.add(message(), 10, NOW) == []
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
            outbox.add(message(must_arrive=True), size, NOW)
        assert len(send_all(outbox, itertools.count(1))) == expected


def test_a_message_larger_than_the_window_flies_alone() -> None:
    """It would else never be sent."""
    outbox, mids = Outbox(), itertools.count(1)
    outbox.connected(None, None, 0.0)
    outbox.add(message(), MAX_IN_FLIGHT_BYTES * 2, NOW)
    outbox.add(message(), 10, NOW)
    assert len(send_all(outbox, mids)) == 1
    outbox.arrived(1, NOW)
    assert len(send_all(outbox, mids)) == 1


def test_the_oldest_gives_way_while_the_broker_is_away() -> None:
    """Memory is bounded, by number and by bytes; what must arrive is kept whatever comes."""
    kept = message(must_arrive=True)
    by_number, by_bytes = Outbox(), Outbox()
    by_number.add(kept, 10, NOW)
    messages = [message() for _ in range(MAX_WAITING + 5)]
    given_up = [lost.publication for m in messages for lost in by_number.add(m, 10, NOW)]
    assert given_up == [m.publication for m in messages[:5]]
    assert len(by_number) == MAX_WAITING + 1
    large = [message() for _ in range(5)]
    given_up = [lost.publication for m in large for lost in by_bytes.add(m, MAX_WAITING_BYTES // 3, NOW)]
    assert given_up == [m.publication for m in large[:2]]
    assert by_bytes.lost == 2


@pytest.mark.parametrize(("count", "size"), [(MAX_IN_FLIGHT + FULL_WAITING, 10), (2, MAX_IN_FLIGHT_BYTES)])
def test_it_is_full_before_results_grow_old_in_it(count: int, size: int) -> None:
    """What flies is not counted; what has to wait for it is. A few small messages are none to speak of."""
    outbox, mids = Outbox(), itertools.count(1)
    outbox.connected(None, None, 0.0)
    for _ in range(count):
        outbox.add(message(), size, NOW)
    sent = send_all(outbox, mids)
    fuller = [outbox.is_full]
    outbox.add(message(), 10, NOW)
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
    map_ = message(must_arrive=True)
    labels = replace(message(must_arrive=True), after=frozenset({map_.publication}))
    other = message(must_arrive=True)
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
    early, late = message(qos=0), message(qos=0)
    assert [lost.publication for lost in outbox.add(early, 1, NOW)] == [early.publication]
    outbox.connected(None, None, 0.0)
    outbox.add(late, 1, NOW)
    send_all(outbox, itertools.count(1))
    assert [lost.publication for lost in outbox.disconnected(Cause.SILENCE, NOW)] == [late.publication]


def test_what_was_in_flight_is_sent_again_first() -> None:
    """Order survives a lost connection."""
    outbox, mids = Outbox(), itertools.count(1)
    outbox.connected(2, None, 0.0)
    messages = [message() for _ in range(4)]
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
    overlay, map_ = message(must_arrive=True), message(must_arrive=True)
    images = frozenset({overlay.publication, map_.publication})
    labels = replace(message(must_arrive=True), after=images, needs=frozenset({map_.publication}))
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


def test_a_message_the_broker_chokes_on_is_found_and_given_up() -> None:
    """After one crash the suspects are sent alone; the culprit is given up, the others arrive."""
    outbox, mids, now = Outbox(), itertools.count(1), 0.0
    messages = [message(must_arrive=True) for _ in range(5)]
    for number, m in enumerate(messages):
        outbox.add(m, LARGE if number == 2 else 1, NOW)
    culprit, arrived, given_up = messages[2].publication, [], []
    for _ in range(MAX_ATTEMPTS + 1):
        outbox.connected(None, None, now)
        now += STABLE_S
        while sent := send_all(outbox, mids, now):
            if culprit in sent.values():
                given_up += [lost.publication for lost in outbox.disconnected(Cause.BROKER, NOW)]
                break
            for mid, publication in sent.items():
                outbox.arrived(mid, NOW)
                arrived.append(publication)
    assert given_up == [culprit]
    assert sorted(arrived) == sorted(m.publication for m in messages if m.publication != culprit)
    assert not len(outbox)


def end_connections(outbox: Outbox, times: int = 1) -> list[int]:
    """Have the broker end so many connections over the only message, each stable before; returns what was given up."""
    given_up = []
    for _ in range(times):
        outbox.connected(None, None, 0.0)
        assert send_all(outbox, itertools.count(1), now=STABLE_S)
        given_up += [lost.publication for lost in outbox.disconnected(Cause.BROKER, NOW)]
    return given_up


def test_a_suspect_waits_for_a_stable_connection() -> None:
    """On one that has just begun, a broker in trouble and a message too large for it look alike."""
    outbox = Outbox()
    outbox.add(message(must_arrive=True), LARGE, NOW)
    end_connections(outbox, SUSPECT_ATTEMPTS)
    outbox.connected(None, None, 100.0)
    assert send_all(outbox, itertools.count(1), now=100.0) == {}
    assert len(send_all(outbox, itertools.count(1), now=100.0 + STABLE_S)) == 1


def test_a_connection_that_ends_by_itself_clears_the_suspect() -> None:
    """The broker is stopped and started, or the network cuts, however often: no message is given up for that."""
    outbox = Outbox()
    outbox.add(message(must_arrive=True), LARGE, NOW)
    for _ in range(3):
        assert end_connections(outbox, MAX_ATTEMPTS - 1) == []
        outbox.connected(None, None, 0.0)
        outbox.disconnected(Cause.BROKER, NOW)
    assert end_connections(outbox, MAX_ATTEMPTS) != []


def test_a_broker_that_the_message_brings_down_is_spared_in_the_end() -> None:
    """That nobody answers for a while after each blow does not clear the message."""
    outbox = Outbox()
    outbox.add(message(must_arrive=True), LARGE, NOW)
    for _ in range(MAX_ATTEMPTS - 1):
        end_connections(outbox)
        outbox.unreachable()
    assert len(end_connections(outbox)) == 1


def test_what_the_broker_choked_on_is_a_limit_from_then_on() -> None:
    """The next message of that size is not tried on this topic; nor is one that waits already. Other topics may do."""
    outbox, large = Outbox(), message(must_arrive=True)
    outbox.add(message(must_arrive=True), LARGE, NOW)
    outbox.add(large, 2 * LARGE, NOW)
    end_connections(outbox, MAX_ATTEMPTS)
    assert (outbox.max_packet(NOW, "t"), outbox.max_packet(NOW, "another")) == (75_000, None)
    assert outbox.is_supposed(NOW, "t")
    [lost] = outbox.connected(None, None, 0.0)
    assert (lost.publication, lost.too_large) == (large.publication, False)  # it may be the topic all the same


def test_a_size_that_is_taken_elsewhere_is_a_topic_that_is_forbidden() -> None:
    """The broker closes the connection without a reason: what must arrive waits, and no size is concluded."""
    outbox = Outbox()
    outbox.add(Outgoing("allowed", b"", qos=1), LARGE, NOW)
    outbox.connected(None, None, 0.0)
    for mid in send_all(outbox, itertools.count(1)):
        outbox.arrived(mid, NOW)
    outbox.add(message(must_arrive=True), LARGE, NOW)
    assert end_connections(outbox, MAX_ATTEMPTS) == []
    assert (len(outbox), outbox.max_packet(NOW, "t")) == (1, None)
    assert outbox.withheld(NOW).startswith("t (the broker closes the connection over it")
    outbox.connected(None, None, RETRY_MIN_S)
    sent = send_all(outbox, itertools.count(1), STABLE_S)
    assert len(sent) == 1
    assert outbox.arrived(next(iter(sent)), STABLE_S) is not None
    assert outbox.withheld(STABLE_S) == ""


def test_a_small_message_is_never_too_large() -> None:
    """A broker that ends connections over a few bytes objects to something else."""
    outbox = Outbox()
    outbox.add(message(must_arrive=True), TELLING_BYTES, NOW)
    assert end_connections(outbox, MAX_ATTEMPTS) == []
    assert outbox.max_packet(NOW, "t") is None


def test_what_is_given_up_over_a_forbidden_topic_is_not_called_too_large() -> None:
    """It is so small that nobody could mean its size."""
    outbox = Outbox()
    lost: list[GivenUp] = []
    outbox.add(message(), TELLING_BYTES, NOW)
    while not lost:
        outbox.connected(None, None, 0.0)
        assert send_all(outbox, itertools.count(1), now=STABLE_S)
        lost = outbox.disconnected(Cause.BROKER, NOW)
    assert [one.too_large for one in lost] == [False]


def test_a_guess_expires() -> None:
    """The limit may have been raised meanwhile: a larger message is tried again."""
    outbox = Outbox()
    outbox.add(message(must_arrive=True), LARGE, NOW)
    end_connections(outbox, MAX_ATTEMPTS)
    assert [outbox.max_packet(at, "t") for at in (GUESS_S - 1, GUESS_S)] == [75_000, None]


def send_until_denied(outbox: Outbox, denied: str, now: float) -> list[str]:
    """Connect and send as long as the broker, which ends the connection over topic *denied*, lets us; the topics."""
    outbox.connected(None, None, now)
    topics: list[str] = []
    mids = itertools.count(1)
    while (entry := outbox.take(now)) is not None:
        mid = next(mids)
        outbox.sent(mid, entry)
        topics.append(entry.message.topic)
        if entry.message.topic == denied:
            outbox.disconnected(Cause.DENIED, now, "Not authorized")
            return topics
        if outbox._goes_alone(entry):
            outbox.arrived(mid, now)
    for mid in list(outbox._in_flight):
        outbox.arrived(mid, now)
    return topics


def test_a_topic_that_is_not_authorised_is_found_and_the_others_go_on() -> None:
    """The broker says so by DISCONNECT: each in flight goes alone, one is denied, and it is tried again later."""
    outbox = Outbox()
    for topic in ("status", "model", "labels"):
        outbox.add(Outgoing(topic, b"", qos=1, must_arrive=True), 10, NOW)
    send_until_denied(outbox, "model", NOW)
    assert send_until_denied(outbox, "model", NOW) == ["status", "model"]
    assert outbox.newly_refused()[0][0].topic == "model"
    assert outbox.withheld(NOW) == "model (Not authorized)"
    assert send_until_denied(outbox, "model", NOW) == ["labels"]
    assert outbox.max_packet(NOW, "model") is None
    assert send_until_denied(outbox, "granted now", NOW + RETRY_MIN_S) == ["model"]
    assert (len(outbox), outbox.withheld(NOW + RETRY_MIN_S)) == (0, "")


def test_live_messages_for_a_denied_topic_are_given_up_at_once() -> None:
    """Each would end the connection; after a while one is tried again."""
    outbox = Outbox()
    outbox.add(message(), 10, NOW)
    send_until_denied(outbox, "t", NOW)
    assert [lost.reason for lost in outbox.add(message(), 10, NOW)] == ["Not authorized"]
    assert outbox.add(message(), 10, NOW + RETRY_MIN_S) == []


def test_a_denied_topic_of_qos_0_is_found_too() -> None:
    """Nobody acknowledges its messages: the next one is sent alone, and what ends the connection then is denied."""
    outbox, mids = Outbox(), itertools.count(1)

    def publish(*topics: str, now: float) -> None:
        for topic in topics:
            outbox.add(Outgoing(topic, b"", qos=0), 10, now)
        for mid in send_all(outbox, mids, now):
            outbox.arrived(mid, now)

    outbox.connected(None, None, 0.0)
    publish("stats", "labels", now=0.0)
    outbox.disconnected(Cause.DENIED, 0.1, "Not authorized")
    outbox.connected(None, None, 2.0)
    publish("labels", now=2.0)
    assert outbox.take(2.0 + WRITTEN_S) is None
    assert outbox.withheld(3.0) == "stats (Not authorized)", "labels was outlived"
    publish("stats", now=4.0)
    outbox.disconnected(Cause.DENIED, 4.1, "Not authorized")
    assert outbox.withheld(4.2) == "stats (Not authorized)"


def test_what_nobody_acknowledges_is_noticed_too() -> None:
    """The statistics have grown too large for a 3.1.1 broker: it closes the connection, again and again, over them."""
    outbox, mids, now = Outbox(), itertools.count(1), 0.0
    for _ in range(MAX_ENDS):
        outbox.connected(None, None, now)
        now += STABLE_S
        outbox.add(message(qos=0), 50_000, NOW)
        for mid in send_all(outbox, mids, now):
            outbox.arrived(mid, now)
        outbox.disconnected(Cause.BROKER, now + 0.1)
    assert outbox.max_packet(NOW, "t") == 37_500


def test_what_arrived_before_is_not_too_large() -> None:
    """The limit lies between that and what the broker ends connections over."""
    outbox = Outbox()
    outbox.add(message(), 95_000, NOW)
    outbox.connected(None, None, 0.0)
    for mid in send_all(outbox, itertools.count(1)):
        outbox.arrived(mid, NOW)
    outbox.add(message(must_arrive=True), 100_000, NOW)
    end_connections(outbox, MAX_ATTEMPTS)
    assert outbox.max_packet(NOW) == 95_000


def test_a_limit_found_out_is_forgotten_with_the_broker() -> None:
    """The one that answers next may be another, or the same with more room; what it says itself holds all the same."""
    outbox = Outbox()
    outbox.add(message(must_arrive=True), 100_000, NOW)
    end_connections(outbox, MAX_ATTEMPTS)
    outbox.unreachable()
    assert outbox.max_packet(NOW) is None
    outbox.connected(None, 50, 0.0)
    assert outbox.max_packet(NOW) == 50


def test_a_message_called_too_large_is_given_up_at_once() -> None:
    """MQTT 5 brokers say so; alone in flight, there is no doubt which it was."""
    outbox = Outbox()
    outbox.connected(None, None, 0.0)
    outbox.add(message(must_arrive=True), 1, NOW)
    send_all(outbox, itertools.count(1))
    [lost] = outbox.disconnected(Cause.TOO_LARGE, NOW)
    assert lost.too_large


def test_a_bad_network_gives_nothing_up() -> None:
    """However often the connection breaks without the broker's doing, what must arrive stays."""
    outbox, mids = Outbox(), itertools.count(1)
    outbox.add(message(must_arrive=True), 1, NOW)
    for _ in range(50):
        outbox.connected(None, None, 0.0)
        assert len(send_all(outbox, mids)) == 1
        assert outbox.disconnected(Cause.SILENCE, NOW) == []


def test_what_is_too_large_for_this_broker_is_given_up_when_it_says_so() -> None:
    """Its limit may be smaller than that of the connection before."""
    outbox = Outbox()
    outbox.add(message(must_arrive=True), 100, NOW)
    outbox.add(message(), 10, NOW)
    [lost] = outbox.connected(None, 50, 0.0)
    assert lost.too_large
    assert len(outbox) == 1


def test_refused_messages_keep_their_order() -> None:
    """A frame's map is published before its labels also when both were refused at first."""
    outbox, mids = Outbox(), itertools.count(1)
    outbox.connected(None, None, 0.0)
    for _ in range(3):
        outbox.add(message(must_arrive=True), 10, NOW)
    for mid in (sent := send_all(outbox, mids)):
        outbox.refused(mid, "Not authorized", now=0.0)
    assert list(send_all(outbox, mids, now=1.0).values()) == list(sent.values())


def test_what_was_refused_and_must_arrive_is_tried_again_later() -> None:
    """Rights may be granted; meanwhile others pass. What need not arrive is given up."""
    outbox, mids = Outbox(), itertools.count(1)
    outbox.connected(None, None, 0.0)
    stubborn, other = message(must_arrive=True), message()
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
        new = message(must_arrive=must_arrive, qos=qos)
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
