"""Whose frames are whose, as nodes come and go."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from samples import make_frame, make_incoming

from edge_worker.config import Config
from edge_worker.frames.frame import Delivery, Frame
from edge_worker.frames.queue import FrameQueue
from edge_worker.frames.rendezvous import ranking
from edge_worker.service import groups
from edge_worker.service.groups import UNANSWERED_S, Groups

SPLIT, CONTROL, ANSWERS = "split-20", "control", "answers"
MINE, OTHERS = (next(f"camera-{n}" for n in range(99) if ranking(f"camera-{n}", "ab")[0] == node) for node in "ab")
"""Cameras of node a, which is the one tested, and of node b."""


class Node:
    """The groups of node a, with its queue."""

    def __init__(self, **camera: Any) -> None:  # noqa: ANN401 - keys of the section
        """Make a node with one camera section."""
        section = {"delivery": "every", "split": {"group": "g"}, **camera}
        config = {"node": {"id": "a"}, "mqtt": {"host": "h"}, "cameras": [section]}
        self.config = Config.model_validate_json(json.dumps(config))
        self.acknowledged: list[int] = []
        self.announced: list[str] = []
        queue = FrameQueue(self.config.cameras, lambda delivery: self.acknowledged.append(delivery.mid))
        self.queue = queue
        self.is_standby = False
        self.published: list[dict[str, str]] = []
        self.groups = Groups(
            self.config,
            queue,
            announce=lambda frame: self.announced.append(frame.frame_id),
            session="session-a",
            publish=lambda message: self.published.append(json.loads(message.payload)),
            is_standby=lambda: self.is_standby,
        )

    def status(
        self, state: str, *links: str, node: str = "b", groups: tuple[str, ...] = ("g",), retained: bool = False
    ) -> None:
        """Have the status of *node* arrive by *links*."""
        content = {"node": node, "state": state, "groups": groups, "session": f"session-{node}"}
        message = make_incoming(
            f"edge-worker/{node}/status", json.dumps(content).encode(), retained=retained, arrived=time.monotonic()
        )
        for link in links:
            assert self.groups.take(link, message)

    def join(self) -> None:
        """Begin without a session, among nodes that are there already: hear of b and c, then of ourselves."""
        self.groups.connected(SPLIT, session_present=False)
        for node in "bc":
            self.status("online", CONTROL, SPLIT, node=node)
        self.status("online", SPLIT, node="a")

    def caught_up(self, node: str, joined: str = "a", session: str = "session-a") -> None:
        """Have *node* say that all before the status of who *joined* is answered."""
        content = {"schema": "edge-worker.caught-up/1", "node": node, "joined": joined, "session": session}
        assert self.groups.take(ANSWERS, make_incoming(f"edge-worker/{node}/answered", json.dumps(content).encode()))

    def answer(self, camera: str, frame_id: str, node: str = "b") -> None:
        """Have *node* say that it has answered a frame."""
        content = {"schema": "edge-worker.answered/1", "node": node, "camera": camera, "frame_id": frame_id}
        assert self.groups.take(ANSWERS, make_incoming(f"edge-worker/{node}/answered", json.dumps(content).encode()))

    def arrive(self, camera: str, mid: int, **fields: Any) -> None:  # noqa: ANN401 - any field of Frame
        """Have a frame arrive, named by its packet number."""
        fields = {"arrived": time.monotonic(), "delivery": Delivery(SPLIT, 1, mid), **fields}
        self.groups.arrive(make_frame(camera, frame_id=str(mid), sender_id=True, **fields))

    def taken(self) -> list[str]:
        """Take all frames that are this node's."""
        frames: list[Frame] = []
        while (frame := self.queue.take(0.0)) is not None:
            frames.append(frame)
        return [frame.frame_id for frame in frames]


@pytest.fixture
def node() -> Node:
    """Node a, which knows that b is online."""
    node = Node()
    node.status("online", CONTROL, SPLIT)
    return node


def test_each_node_answers_its_own_cameras(node: Node) -> None:
    """What is another's is acknowledged when that has answered."""
    node.arrive(MINE, 1)
    node.arrive(OTHERS, 2)
    assert node.taken() == ["1"]
    node.answer(OTHERS, "2")
    assert node.acknowledged == [2]


def test_frames_from_before_a_node_joined_are_not_its_own() -> None:
    """It never got them: what was in our queue before its status came to us by the same link is ours."""
    node = Node()
    node.status("online", CONTROL)
    node.arrive(OTHERS, 1)
    node.status("online", SPLIT)
    node.arrive(OTHERS, 2)
    assert node.taken() == ["1"]


def test_the_cameras_of_a_dead_node_are_taken_over(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the frames it had not answered, although the news on the frames' own link waits behind others."""
    monkeypatch.setattr(groups, "settle_s", lambda _config: -1.0)
    node = Node()
    node.status("online", CONTROL, SPLIT)
    node.arrive(OTHERS, 1)
    node.arrive(OTHERS, 2)
    node.answer(OTHERS, "1")
    node.status("offline", CONTROL)
    node.arrive(OTHERS, 3)
    assert node.taken() == ["2", "3"]
    node.status("offline", SPLIT)
    node.status("online", CONTROL)
    node.arrive(OTHERS, 4)
    node.status("online", SPLIT)
    node.arrive(OTHERS, 5)
    assert node.taken() == ["4"]


def test_a_status_that_was_deleted_and_is_there_again_moves_no_camera(node: Node) -> None:
    """Its node puts it back as soon as it sees that; only what came in between may be answered twice."""
    node.arrive(OTHERS, 1)
    for link in (CONTROL, SPLIT):
        assert node.groups.take(link, make_incoming("edge-worker/b/status", b""))
    node.status("online", CONTROL, SPLIT)
    node.arrive(OTHERS, 2)
    node.groups.update()
    assert node.taken() == []


def test_a_stopping_broker_moves_no_camera(node: Node) -> None:
    """Its wills of everybody stand among the frames, and may be old: nodes leave by the control link."""
    node.status("offline", SPLIT)
    node.arrive(OTHERS, 1)
    assert node.taken() == []


def test_a_node_that_is_back_has_its_cameras_again_before_the_control_link_says_so(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its status among the frames is as good; without the other, it is old."""
    now = time.monotonic()
    monkeypatch.setattr(groups, "settle_s", lambda _config: 5.0)
    monkeypatch.setattr(time, "monotonic", lambda: now)
    node = Node()
    node.status("online", CONTROL, SPLIT)
    node.status("offline", CONTROL)
    now += 6.0
    node.groups.update()
    node.status("online", SPLIT)
    node.arrive(OTHERS, 1)
    assert node.taken() == []
    now += 6.0
    node.groups.update()
    node.arrive(OTHERS, 2)
    assert node.taken() == ["1", "2"]


def test_a_node_that_joins_waits_until_the_others_have_caught_up() -> None:
    """They may have older frames of its cameras, which it never got."""
    node = Node()
    node.groups.connected(SPLIT, session_present=False)
    node.status("online", CONTROL, SPLIT)
    node.arrive(MINE, 1)  # b answers it: it does not know of us
    node.status("online", SPLIT, node="a")
    node.arrive(MINE, 2)
    node.arrive(OTHERS, 3)
    node.answer(MINE, "1")
    assert (node.taken(), node.acknowledged) == ([], [1])
    node.caught_up("b", session="an-earlier-run")
    node.caught_up("b", joined="c")
    assert node.taken() == []
    node.caught_up("b")
    assert node.taken() == ["2"]
    node.arrive(MINE, 4)
    assert node.taken() == ["4"]


def test_what_a_node_is_sent_because_it_subscribed_is_with_those_that_were_there() -> None:
    """They were asked for a retained frame once, and say no more about it: nothing may wait for their answer."""
    node = Node()
    node.groups.connected(SPLIT, session_present=False)
    node.status("online", CONTROL, SPLIT, retained=True)
    node.arrive(MINE, 1, retained=True)
    node.arrive(OTHERS, 2, retained=True)
    assert (node.taken(), node.acknowledged, node.queue.held()) == ([], [1, 2], 0)
    alone = Node()
    alone.groups.connected(SPLIT, session_present=False)
    alone.arrive(OTHERS, 1, retained=True)
    assert (alone.taken(), alone.acknowledged) == (["1"], [])


def test_a_retained_frame_in_work_is_not_acknowledged_though_its_camera_is_anothers_now() -> None:
    """It is delivered again after a reconnect, and nobody else may have it."""
    node = Node()
    node.arrive(OTHERS, 1, retained=True)
    node.status("online", CONTROL, SPLIT)
    node.arrive(OTHERS, 1, retained=True, delivery=Delivery(SPLIT, 2, 7), redelivered=True)
    assert (node.taken(), node.acknowledged) == (["1"], [])


def test_frames_that_need_no_acknowledgement_are_not_kept_for_others(node: Node) -> None:
    """Nothing bounds how many a broker sends, nor is their owner bound to answer them."""
    for number in range(100):
        node.arrive(OTHERS, number, delivery=None)
    node.arrive(MINE, 100, delivery=None)
    assert (node.queue.held(), node.taken()) == (0, ["100"])


def test_a_node_that_joins_does_not_wait_for_one_that_is_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whose frames the others have."""
    monkeypatch.setattr(groups, "settle_s", lambda _config: -1.0)
    node = Node()
    node.join()
    node.arrive(MINE, 1)
    node.caught_up("b")
    assert node.taken() == []
    node.status("offline", CONTROL, node="c")
    assert node.taken() == ["1"]


def test_who_is_alone_waits_for_nobody() -> None:
    """Its status may be forbidden."""
    node = Node()
    node.groups.connected(SPLIT, session_present=False)
    assert node.groups.must_publish_status(SPLIT)
    node.arrive(MINE, 1)
    node.arrive(OTHERS, 2)
    assert node.taken() == ["1", "2"]


def test_a_node_that_joins_is_told_when_all_older_frames_are_answered(node: Node) -> None:
    """Ours and others', not those that came after its status."""
    node.published.clear()
    node.arrive(MINE, 1)
    node.arrive(OTHERS, 2)
    node.status("online", SPLIT, node="c")
    node.arrive(OTHERS, 3)
    node.answer(OTHERS, "2")
    assert node.published == []
    assert node.groups.due_in_s() < 1.0
    frame = node.queue.take(0.0)
    assert frame is not None
    node.queue.replied(frame, ())
    node.groups.update()
    node.groups.update()
    told = {"schema": "edge-worker.caught-up/1", "node": "a", "joined": "c", "session": "session-c"}
    assert node.published == [told]
    assert node.groups.due_in_s() > 1.0


@pytest.mark.parametrize("text", ["höf {{ 7 * 7 }}", "'; \\ \"", "摄像头 😀", "\u202e\x7f", "a" * 9000])
def test_names_of_any_characters_are_divided(node: Node, text: str) -> None:
    """Some cameras are ours and some are not, whatever their names have in common."""
    for number in range(20):
        node.arrive(f"{text}{number}", number)
    assert 0 < len(node.taken()) < 20


def test_a_node_of_another_group_is_none_of_ours() -> None:
    """It gets our frames, if at all, by a subscription of its own."""
    node = Node()
    node.status("online", CONTROL, SPLIT, groups=("other",))
    node.arrive(OTHERS, 1)
    assert node.taken() == ["1"]


def test_a_frame_that_stays_unanswered_goes_to_the_next_node(node: Node) -> None:
    """Whatever the reason: better twice than never."""
    node.arrive(OTHERS, 1, arrived=time.monotonic() - UNANSWERED_S - 1)
    assert node.taken() == ["1"]


def test_without_a_session_members_are_found_anew(node: Node) -> None:
    """The broker then sends the statuses again, before any frame; what we held is in nobody's session any more."""
    node.groups.connected(SPLIT, session_present=True)
    node.arrive(OTHERS, 1)
    node.groups.connected(SPLIT, session_present=False)
    node.arrive(OTHERS, 2)
    assert node.taken() == ["1", "2"]


@pytest.mark.parametrize("sign", [{"node": "b", "retained": True}, {"node": "a"}])
def test_what_waited_for_an_earlier_run_is_answered_again(sign: dict[str, Any]) -> None:
    """That run may have read the answers, which are sent once; until the broker says what it had retained, or we do."""
    node = Node()
    node.groups.connected(SPLIT, session_present=True)
    node.status("online", CONTROL, retained=True)
    node.status("online", SPLIT)
    node.arrive(OTHERS, 1)
    assert node.taken() == ["1"]
    node.status("loading" if sign["node"] == "a" else "online", SPLIT, **sign)
    node.groups.connected(SPLIT, session_present=True)
    node.arrive(OTHERS, 2)
    assert node.taken() == []


def test_an_answer_of_our_own_is_no_news(node: Node) -> None:
    """It comes back to us as to everybody, and says nothing about the next frame of that name."""
    node.answer(MINE, "1", node="a")
    node.arrive(MINE, 1)
    assert node.taken() == ["1"]


def test_a_frame_that_a_camera_sends_twice_is_announced_twice(node: Node) -> None:
    """A node started in between knows only the second, and would hold it for long."""
    node.arrive(MINE, 1)
    frame = node.queue.take(0.0)
    assert frame is not None
    node.queue.replied(frame, ())
    node.arrive(MINE, 1, delivery=Delivery(SPLIT, 1, 9))
    assert (node.announced, node.acknowledged) == (["1"], [1, 9])


@pytest.mark.parametrize("session", ["\ud800", "\0", "s" * 9999])
def test_a_joining_node_is_told_whatever_its_session_is(node: Node, session: str) -> None:
    """A word that cannot be written would end every worker of the group."""
    content = {"state": "online", "groups": ["g"], "session": session}
    assert node.groups.take(SPLIT, make_incoming("edge-worker/c/status", json.dumps(content).encode()))
    assert node.published[-1]["joined"] == "c"


def test_an_answer_of_any_size_fills_no_memory(node: Node) -> None:
    """Many are remembered for frames that have not come yet."""
    node.answer(OTHERS, "1" * 128)
    node.answer(OTHERS, "1" * 9999)
    assert [*node.queue._held._answered] == [(OTHERS, "1" * 128)]


def test_our_own_status_goes_to_who_watches_it(node: Node) -> None:
    """On the control link; among the frames it is one of many."""
    status = make_incoming("edge-worker/a/status", b"{}")
    assert not node.groups.take(CONTROL, status)
    assert node.groups.take(SPLIT, status)
    assert not node.groups.take(CONTROL, make_incoming("edge-worker/a/request/ping"))


@pytest.mark.parametrize("split", [{"group": "g"}, {"group": "g", "members": ["a", "b"]}])
def test_live_frames_of_others_are_left_out(split: dict[str, Any]) -> None:
    """With members found, or named."""
    node = Node(delivery="latest", split=split)
    if "members" not in split:
        node.status("online", CONTROL)
    node.arrive(MINE, 1, delivery=None)
    node.arrive(OTHERS, 2, delivery=None)
    assert node.taken() == ["1"]


def test_frames_of_a_named_member_are_its_own() -> None:
    """They wait in its session, be it there or not; here they are acknowledged at once."""
    node = Node(split={"group": "g", "members": ["a", "b"]})
    node.arrive(OTHERS, 1)
    assert (node.taken(), node.acknowledged) == ([], [1])


def test_who_is_on_standby_leaves_its_frames_to_the_other_worker_of_its_name(node: Node) -> None:
    """Its answers come under our own name. When it is gone, what it has not answered is ours."""
    node.is_standby = True
    node.arrive(MINE, 1)
    node.arrive(MINE, 2)
    node.answer(MINE, "1", node="a")
    assert (node.taken(), node.acknowledged) == ([], [1])
    node.is_standby = False
    node.groups.update()
    assert node.taken() == ["2"]


def test_who_is_on_standby_says_nothing_in_the_name_of_the_other_worker(node: Node) -> None:
    """Which may have older frames. When that is gone, the node that joins hears from us."""
    node.published.clear()
    node.is_standby = True
    node.status("online", SPLIT, node="c")
    node.groups.update()
    assert node.published == []
    node.is_standby = False
    node.groups.update()
    assert [told["joined"] for told in node.published] == ["c"]


def test_no_frame_waits_for_ever_for_a_worker_of_our_name(node: Node) -> None:
    """Better twice than never: after the other members it is ours all the same."""
    node.is_standby = True
    node.arrive(MINE, 1, arrived=time.monotonic() - 2 * UNANSWERED_S - 1)
    assert node.taken() == ["1"]


@pytest.mark.parametrize("split", [{"group": "g"}, {"group": "g", "members": ["a", "b"]}])
def test_live_frames_are_left_to_the_other_worker_of_our_name(split: dict[str, Any]) -> None:
    """With members found, or named."""
    node = Node(delivery="latest", split=split)
    node.is_standby = True
    node.arrive(MINE, 1, delivery=None)
    assert node.taken() == []
