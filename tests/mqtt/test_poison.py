"""Finding the message that a broker ends connections over, as an outbox sends."""

from __future__ import annotations

import itertools

from outboxes import make_outgoing, send_all

from edge_worker.mqtt.connection_events import Cause
from edge_worker.mqtt.denials import RETRY_MIN_S
from edge_worker.mqtt.message import Outgoing
from edge_worker.mqtt.outbox import (
    GivenUp,
    Outbox,
)
from edge_worker.mqtt.outbox_entry import MAX_ATTEMPTS, STABLE_S, SUSPECT_ATTEMPTS
from edge_worker.mqtt.size_limit import GUESS_S, MAX_ENDS, NEVER_TOO_LARGE_BYTES, WRITTEN_S

NOW = 0.0  # where only the order of things matters
LARGE = 100_000


def test_a_message_the_broker_chokes_on_is_found_and_given_up() -> None:
    """After one crash the suspects are sent alone; the culprit is given up, the others arrive."""
    outbox, mids, now = Outbox(), itertools.count(1), 0.0
    messages = [make_outgoing(must_arrive=True) for _ in range(5)]
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
    outbox.add(make_outgoing(must_arrive=True), LARGE, NOW)
    end_connections(outbox, SUSPECT_ATTEMPTS)
    outbox.connected(None, None, 100.0)
    assert send_all(outbox, itertools.count(1), now=100.0) == {}
    assert len(send_all(outbox, itertools.count(1), now=100.0 + STABLE_S)) == 1


def test_a_connection_that_ends_by_itself_clears_the_suspect() -> None:
    """The broker is stopped and started, or the network cuts, however often: no message is given up for that."""
    outbox = Outbox()
    outbox.add(make_outgoing(must_arrive=True), LARGE, NOW)
    for _ in range(3):
        assert end_connections(outbox, MAX_ATTEMPTS - 1) == []
        outbox.connected(None, None, 0.0)
        outbox.disconnected(Cause.BROKER, NOW)
    assert end_connections(outbox, MAX_ATTEMPTS) != []


def test_a_broker_that_the_message_brings_down_is_spared_in_the_end() -> None:
    """That nobody answers for a while after each blow does not clear the message."""
    outbox = Outbox()
    outbox.add(make_outgoing(must_arrive=True), LARGE, NOW)
    for _ in range(MAX_ATTEMPTS - 1):
        end_connections(outbox)
        outbox.unreachable()
    assert len(end_connections(outbox)) == 1


def test_what_the_broker_choked_on_is_a_limit_from_then_on() -> None:
    """The next message of that size is not tried on this topic; nor is one that waits already. Other topics may do."""
    outbox, large = Outbox(), make_outgoing(must_arrive=True)
    outbox.add(make_outgoing(must_arrive=True), LARGE, NOW)
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
    outbox.add(make_outgoing(must_arrive=True), LARGE, NOW)
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
    outbox.add(make_outgoing(must_arrive=True), NEVER_TOO_LARGE_BYTES, NOW)
    assert end_connections(outbox, MAX_ATTEMPTS) == []
    assert outbox.max_packet(NOW, "t") is None


def test_what_is_given_up_over_a_forbidden_topic_is_not_called_too_large() -> None:
    """It is so small that nobody could mean its size."""
    outbox = Outbox()
    lost: list[GivenUp] = []
    outbox.add(make_outgoing(), NEVER_TOO_LARGE_BYTES, NOW)
    while not lost:
        outbox.connected(None, None, 0.0)
        assert send_all(outbox, itertools.count(1), now=STABLE_S)
        lost = outbox.disconnected(Cause.BROKER, NOW)
    assert [one.too_large for one in lost] == [False]


def test_a_guess_expires() -> None:
    """The limit may have been raised meanwhile: a larger message is tried again."""
    outbox = Outbox()
    outbox.add(make_outgoing(must_arrive=True), LARGE, NOW)
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
        if outbox._poison.is_sent_alone(entry):
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
    outbox.add(make_outgoing(), 10, NOW)
    send_until_denied(outbox, "t", NOW)
    assert [lost.reason for lost in outbox.add(make_outgoing(), 10, NOW)] == ["Not authorized"]
    assert outbox.add(make_outgoing(), 10, NOW + RETRY_MIN_S) == []


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
        outbox.add(make_outgoing(qos=0), 50_000, NOW)
        for mid in send_all(outbox, mids, now):
            outbox.arrived(mid, now)
        outbox.disconnected(Cause.BROKER, now + 0.1)
    assert outbox.max_packet(NOW, "t") == 37_500


def test_what_arrived_before_is_not_too_large() -> None:
    """The limit lies between that and what the broker ends connections over."""
    outbox = Outbox()
    outbox.add(make_outgoing(), 95_000, NOW)
    outbox.connected(None, None, 0.0)
    for mid in send_all(outbox, itertools.count(1)):
        outbox.arrived(mid, NOW)
    outbox.add(make_outgoing(must_arrive=True), 100_000, NOW)
    end_connections(outbox, MAX_ATTEMPTS)
    assert outbox.max_packet(NOW) == 95_000


def test_a_limit_found_out_is_forgotten_with_the_broker() -> None:
    """The one that answers next may be another, or the same with more room; what it says itself holds all the same."""
    outbox = Outbox()
    outbox.add(make_outgoing(must_arrive=True), 100_000, NOW)
    end_connections(outbox, MAX_ATTEMPTS)
    outbox.unreachable()
    assert outbox.max_packet(NOW) is None
    outbox.connected(None, 50, 0.0)
    assert outbox.max_packet(NOW) == 50


def test_a_message_called_too_large_is_given_up_at_once() -> None:
    """MQTT 5 brokers say so; alone in flight, there is no doubt which it was."""
    outbox = Outbox()
    outbox.connected(None, None, 0.0)
    outbox.add(make_outgoing(must_arrive=True), 1, NOW)
    send_all(outbox, itertools.count(1))
    [lost] = outbox.disconnected(Cause.TOO_LARGE, NOW)
    assert lost.too_large


def test_a_bad_network_gives_nothing_up() -> None:
    """However often the connection breaks without the broker's doing, what must arrive stays."""
    outbox, mids = Outbox(), itertools.count(1)
    outbox.add(make_outgoing(must_arrive=True), 1, NOW)
    for _ in range(50):
        outbox.connected(None, None, 0.0)
        assert len(send_all(outbox, mids)) == 1
        assert outbox.disconnected(Cause.SILENCE, NOW) == []
