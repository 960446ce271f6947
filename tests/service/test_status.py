"""The state as judged from the parts, and what is published of it."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from threading import Event, Thread
from typing import TYPE_CHECKING

import pytest
from samples import make_incoming, make_link_status
from structlog.testing import capture_logs

from edge_worker.common import log_events
from edge_worker.inference.types import ModelCardFacts
from edge_worker.pool import PoolState
from edge_worker.service.duplicate_nodes import ASK_S
from edge_worker.service.lifecycle import Judgement, State
from edge_worker.service.stats import Reporter
from edge_worker.service.status import RESTORE_S, NodeStatus, judge

if TYPE_CHECKING:
    from collections.abc import Callable

    from edge_worker.mqtt.message import Incoming, Outgoing
    from edge_worker.mqtt.status import LinkStatus

SOON_S = 10.0
UP = PoolState(ready=True, loading=False, detail="", processes=())
LOADING = PoolState(ready=False, loading=True, detail="loading the model", processes=())
DOWN = PoolState(ready=False, loading=False, detail="killed by SIGKILL", processes=())
LINKED = make_link_status()
CUT = replace(LINKED, connected=False, subscribed=False, trouble="connection refused")
CONNECTING = replace(CUT, trouble="")
REFUSED = replace(LINKED, subscribed=False, trouble="not authorized")
CONTESTED = replace(LINKED, conflict="another client uses our client id")
WITHHELD = replace(LINKED, withheld="parsing/door/labels (Not authorized)")
CARD = ModelCardFacts(
    "tiny", "0" * 64, "openvino", "f32", "told so", ("a",), ("#000000",), {"requested": {}, "effective": {}}
)


@pytest.mark.parametrize(
    ("present", "pool", "link", "expected"),
    [
        (State.LOADING, LOADING, LINKED, (State.LOADING, "model_loading")),
        (State.LOADING, UP, CONNECTING, (State.LOADING, "disconnected")),
        (State.LOADING, UP, CUT, (State.DEGRADED, "disconnected")),
        (State.LOADING, UP, LINKED, (State.ONLINE, "")),
        (State.LOADING, DOWN, LINKED, (State.DEGRADED, "model_restarting")),
        (State.ONLINE, DOWN, LINKED, (State.DEGRADED, "model_restarting")),
        (State.ONLINE, LOADING, LINKED, (State.DEGRADED, "model_loading")),
        (State.ONLINE, UP, REFUSED, (State.DEGRADED, "subscribing")),
        (State.ONLINE, UP, CONTESTED, (State.DEGRADED, "contested")),
        (State.ONLINE, UP, WITHHELD, (State.DEGRADED, "refused")),
        (State.DEGRADED, UP, LINKED, (State.ONLINE, "")),
    ],
)
def test_online_means_that_frames_are_answered(
    present: State, pool: PoolState, link: LinkStatus, expected: tuple[State, str]
) -> None:
    """Online only with every model process ready and every subscription granted; each shortcoming has its word."""
    assert judge(present, pool, {"control": link})[:2] == expected


@pytest.mark.parametrize(("is_standby", "state"), [(True, State.DEGRADED), (False, State.ONLINE)])
def test_a_worker_on_standby_for_another_of_its_name_is_not_online(*, is_standby: bool, state: State) -> None:
    """The one that goes on is, or other nodes would take its cameras; both say why."""
    judgement = judge(State.ONLINE, UP, {"control": LINKED}, "set node.id", is_standby=is_standby)
    assert judgement == (state, "contested", "set node.id")


@pytest.fixture
def published() -> list[Outgoing]:
    return []


@pytest.fixture
def make_presence(published: list[Outgoing]) -> Callable[[], NodeStatus]:
    return lambda: NodeStatus(
        Reporter("box-1"),
        status_topic="status",
        model_topic="model",
        publish=published.append,
        on_change=lambda _: None,
    )


def said(message: Outgoing) -> dict[str, object]:
    content = json.loads(message.payload)
    assert isinstance(content, dict)
    return content


def heard(payload: bytes, topic: str = "status") -> Incoming:
    return make_incoming(topic, payload)


def test_each_change_is_published_once_and_retained(
    make_presence: Callable[[], NodeStatus], published: list[Outgoing]
) -> None:
    """The same judgement twice is one message; a new explanation of the same state is another, since the same time."""
    node_status = make_presence()
    for detail in ("loading the model", "loading the model", "model.onnx is missing"):
        node_status.move(Judgement(State.LOADING, "model_loading", detail))
    assert [said(message)["detail"] for message in published] == ["loading the model", "model.onnx is missing"]
    assert len({said(message)["since"] for message in published}) == 1
    assert all(message.retain for message in published)


def test_whatever_else_stands_on_our_topic_is_contradicted(
    make_presence: Callable[[], NodeStatus], published: list[Outgoing]
) -> None:
    """A late will, another program's words, or nothing because somebody deleted it; the echo of our own is none."""
    node_status = make_presence()
    node_status.move(Judgement(State.LOADING))
    node_status.move(Judgement(State.ONLINE))
    for payload in (node_status.will().payload, b'{"state": "online"}', b"", b"[" * 200_000):
        assert node_status.contradicts(heard(payload)) is True
    for own in published:
        assert node_status.contradicts(heard(own.payload)) is False
    assert node_status.contradicts(heard(b"{}", topic="other")) is None


def test_our_status_is_restored_but_not_in_a_storm(
    make_presence: Callable[[], NodeStatus], published: list[Outgoing], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two workers of one name would reply to each other for ever: the second restoration waits its time.

    Nor does the log fill where a program overwrites the status in a loop.
    """
    node_status = make_presence()
    node_status.move(Judgement(State.LOADING))
    with capture_logs() as logs:
        for _ in range(5):
            node_status.restore(b"{}")
    assert len(logs) == 2
    assert [message.topic for message in published] == ["status", "status"]
    later = time.monotonic() + RESTORE_S
    monkeypatch.setattr(time, "monotonic", lambda: later)
    node_status.restore_when_due()
    node_status.restore_when_due()
    assert len(published) == 3


def test_our_own_will_is_replaced_without_a_warning(make_presence: Callable[[], NodeStatus]) -> None:
    """Mosquitto publishes it to us when it stops: nobody else published there."""
    node_status = make_presence()
    node_status.move(Judgement(State.LOADING))
    with capture_logs() as logs:
        node_status.restore(node_status.will().payload)
        node_status.restore(b"{}")
    assert [line["event"] for line in logs] == ["the status topic holds something else; publishing ours again"]


def test_what_was_retained_before_us_is_no_contradiction(make_presence: Callable[[], NodeStatus]) -> None:
    """After a restart the broker shows us our own goodbye; our birth is on its way."""
    node_status = make_presence()
    node_status.move(Judgement(State.LOADING))
    retained = make_incoming("status", node_status.will().payload, retained=True)
    assert node_status.contradicts(retained) is False


def test_will_and_birth_name_the_same_session(
    make_presence: Callable[[], NodeStatus], published: list[Outgoing]
) -> None:
    """So a reader can tell an old will from a new birth."""
    node_status, other = make_presence(), make_presence()
    node_status.move(Judgement(State.LOADING))
    will, birth = json.loads(node_status.will().payload), said(published[0])
    assert (will["state"], will["reason"], will["session"]) == ("offline", "lost", birth["session"])
    assert json.loads(other.will().payload)["session"] != birth["session"]


def test_the_model_card_is_shown_once_and_repeated_on_request(
    make_presence: Callable[[], NodeStatus], published: list[Outgoing]
) -> None:
    """After a reconnect the broker may have forgotten what was retained."""
    node_status = make_presence()
    assert node_status.show(CARD)
    assert not node_status.show(CARD)
    node_status.repeat()
    assert [message.topic for message in published] == ["model", "status", "model"]


def test_what_is_retained_last_is_the_newest() -> None:
    """A repetition that was being written while the state changed does not take the new state's place."""
    published: list[Outgoing] = []
    is_repeating, has_moved = Event(), Event()

    def publish(message: Outgoing) -> None:
        if not is_repeating.is_set():
            is_repeating.set()
            has_moved.wait(0.2)  # in vain, where the change has to wait for the repetition
        published.append(message)

    node_status = NodeStatus(
        Reporter("box-1"), status_topic="status", model_topic="model", publish=publish, on_change=lambda _: None
    )
    repeater = Thread(target=node_status.repeat)
    repeater.start()
    assert is_repeating.wait(SOON_S)
    node_status.move(Judgement(State.LOADING))
    has_moved.set()
    repeater.join(SOON_S)
    assert [said(message)["state"] for message in published] == ["starting", "loading"]


@pytest.mark.parametrize("goes_on", [True, False])
def test_the_topic_is_left_to_the_worker_of_our_name_that_goes_on(
    make_presence: Callable[[], NodeStatus],
    published: list[Outgoing],
    monkeypatch: pytest.MonkeyPatch,
    *,
    goes_on: bool,
) -> None:
    """The other one only asks now and then whether it is there: once at first. Neither warns of unknown publishers."""
    node_status = make_presence()
    node_status.move(Judgement(State.LOADING))
    own = said(published[0])["session"]
    other = json.dumps({**said(published[0]), "session": f"{own}0" if goes_on else "", "state": "online"}).encode()
    with capture_logs() as logs:
        node_status.restore(other)
        node_status.restore(other)
    assert node_status.is_standby() != goes_on
    assert "node.id" in node_status.duplicate_nodes
    assert [(line["event"], line["standby"]) for line in logs] == [(log_events.NODE_ID_TAKEN, not goes_on)]
    node_status.move(Judgement(State.ONLINE))
    assert len(published) == (3 if goes_on else 1)
    now = time.monotonic()
    for after_s in (0.0, ASK_S - 1, ASK_S):
        monkeypatch.setattr(time, "monotonic", lambda at=now + after_s: at)
        node_status.restore_when_due()
    assert len(published) == (4 if goes_on else 3)
