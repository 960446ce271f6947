"""Whoever joins a group hears when all that is older is answered."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from samples import SimplePolicy, make_frame

from edge_worker.frames.frame import Delivery
from edge_worker.frames.queue import FrameQueue
from edge_worker.service.catching_up import CatchingUp

if TYPE_CHECKING:
    from edge_worker.mqtt.message import Outgoing

LINKS = ("split-20", "split-5")


class Node:
    """A node whose frames come by two links, and what it says."""

    def __init__(self) -> None:
        """Begin without frames."""
        self.said: list[dict[str, str]] = []
        self.queue = FrameQueue([SimplePolicy(delivery="every")], lambda _: None)
        self.catching_up = CatchingUp(
            "a", "answered", LINKS, self.queue, publish=self._publish, is_standby=lambda: False
        )

    def _publish(self, message: Outgoing) -> None:
        self.said.append(json.loads(message.payload))


@pytest.fixture
def node() -> Node:
    """A node that has heard of nobody yet."""
    return Node()


def test_a_joining_node_is_told_when_it_is_known_on_all_links(node: Node) -> None:
    """Before that it is not known which frames are older; and once only."""
    node.catching_up.joined("b", "run-1", LINKS[0], 1.0)
    node.catching_up.send()
    assert (node.said, node.catching_up.pending) == ([], False)
    node.catching_up.joined("b", "run-1", LINKS[1], 2.0)
    assert node.catching_up.pending
    node.catching_up.send()
    node.catching_up.send()
    message = {"schema": "edge-worker.caught-up/1", "node": "a", "joined": "b", "session": "run-1"}
    assert (node.said, node.catching_up.pending) == ([message], False)


def test_it_is_not_greeted_before_older_frames_are_answered(node: Node) -> None:
    """Those that came by the same link before its status; later ones are its own business."""
    for mid, link in enumerate(LINKS):
        node.queue.arrive(make_frame(frame_id=str(mid), arrived=1.5, delivery=Delivery(link, 1, mid)), lambda _: False)
    node.catching_up.joined("b", "run-1", LINKS[0], 1.0)
    node.catching_up.joined("b", "run-1", LINKS[1], 2.0)
    node.catching_up.send()
    assert node.said == []
    node.queue.answered("door", "1")
    node.catching_up.send()
    assert [one["joined"] for one in node.said] == ["b"]


def test_a_status_that_is_said_again_is_not_waited_for(node: Node) -> None:
    """The frames before it may be the joining node's, which waits for us."""
    for link in LINKS:
        node.catching_up.joined("b", "run-1", link, 1.0)
    node.queue.arrive(make_frame(arrived=1.5, delivery=Delivery(LINKS[0], 1, 1)), lambda _: False)
    for link in LINKS:
        node.catching_up.joined("b", "run-1", link, 2.0)
    node.catching_up.send()
    assert [one["joined"] for one in node.said] == ["b"]


@pytest.mark.parametrize(
    "reports",
    [[("run-1", 0), ("run-1", 1), ("run-2", 0)], [("run-1", 0), ("run-2", 0), ("run-1", 1)]],
    ids=["it starts again", "one link is behind"],
)
def test_a_joining_node_is_told_of_the_run_that_all_links_report(node: Node, reports: list[tuple[str, int]]) -> None:
    """A status of an earlier run does not count, and does not hide what another link reported of the present one."""
    for at, (session, link) in enumerate(reports):
        node.catching_up.joined("b", session, LINKS[link], float(at))
    node.catching_up.send()
    assert node.said == []
    node.catching_up.joined("b", "run-2", LINKS[1], 4.0)
    node.catching_up.send()
    assert [one["session"] for one in node.said] == ["run-2"]
