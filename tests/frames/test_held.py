"""Frames of other nodes' cameras: nobody loses one, and none is answered twice without need."""

from __future__ import annotations

import time
from typing import Any

import pytest
from samples import SimplePolicy, make_frame

from edge_worker.frames.acks import Verdict
from edge_worker.frames.counters import Count
from edge_worker.frames.frame import Delivery, Frame
from edge_worker.frames.held import HeldFrames
from edge_worker.frames.queue import FrameQueue


class Node:
    """A queue that is told whose the frames are."""

    def __init__(self) -> None:
        """Begin as a node that owns nothing."""
        self.acknowledged: list[int] = []
        self.owns: set[str] = set()
        self.queue = FrameQueue(
            [SimplePolicy(delivery="every")], lambda delivery: self.acknowledged.append(delivery.mid)
        )

    def arrive(self, frame_id: str, mid: int, **fields: Any) -> Verdict:  # noqa: ANN401 - any field of Frame
        """Have a frame arrive as packet *mid*."""
        frame = make_frame(frame_id=frame_id, delivery=Delivery("split", 1, mid), arrived=float(mid), **fields)
        return self.queue.arrive(frame, lambda _: frame.camera in self.owns)

    def take(self) -> Frame | None:
        """Take the next frame that is this node's to answer."""
        return self.queue.take(0.0)


@pytest.fixture
def node() -> Node:
    """A node that owns nothing yet."""
    return Node()


def test_a_frame_is_held_until_its_owner_has_answered(node: Node) -> None:
    """It is neither parsed nor acknowledged nor counted."""
    node.arrive("a", 1)
    assert (node.take(), node.acknowledged) == (None, [])
    node.queue.answered("yard", "a")
    assert node.acknowledged == []
    node.queue.answered("door", "a")
    assert (node.take(), node.acknowledged) == (None, [1])
    assert node.queue.account().total == Count()


def test_an_answer_may_be_faster_than_its_frame(node: Node) -> None:
    """A node that is behind reads what others have done with its frames before it reads the frames."""
    node.queue.answered("door", "a")
    node.arrive("a", 1)
    assert (node.take(), node.acknowledged) == (None, [1])


def test_what_a_dead_owner_left_is_taken_over_in_order(node: Node) -> None:
    """Before what comes afterwards."""
    for mid, frame_id in enumerate("abc"):
        node.arrive(frame_id, mid)
    node.queue.answered("door", "a")
    node.owns.add("door")
    node.queue.claim_held()
    node.arrive("d", 3)
    assert [frame and frame.frame_id for frame in (node.take(), node.take(), node.take())] == ["b", "c", "d"]
    assert node.acknowledged == [0]


def test_no_frame_overtakes_an_older_one_of_its_camera(node: Node) -> None:
    """It became ours, and the older one is still another's to answer: after that it is our turn, at once."""
    node.arrive("a", 1)
    node.arrive("b", 2, camera="yard")
    node.queue.arrive(make_frame(frame_id="c", delivery=Delivery("split", 1, 3), arrived=3.0), lambda _: True)
    node.queue.claim_held()
    assert node.take() is None
    node.queue.answered("door", "a")
    frame = node.take()
    assert frame is not None
    assert frame.frame_id == "c"


def test_what_was_held_comes_before_a_frame_that_arrives_as_its_owner_goes(node: Node) -> None:
    """However late we notice that the owner is gone."""
    node.arrive("a", 1)
    node.owns.add("door")
    node.arrive("b", 2)
    assert [frame and frame.frame_id for frame in (node.take(), node.take())] == ["a", "b"]


def test_cameras_of_one_name_in_two_sections_wait_each_for_its_own() -> None:
    """They are of different groups."""
    queue = FrameQueue([SimplePolicy(delivery="every")] * 2, lambda _: None)
    queue.arrive(make_frame(frame_id="a", delivery=Delivery("split", 1, 1)), lambda _: False)
    queue.arrive(make_frame(frame_id="b", source=1, delivery=Delivery("split", 1, 2), arrived=1.0), lambda _: True)
    frame = queue.take(0.0)
    assert frame is not None
    assert frame.frame_id == "b"


def test_it_is_known_when_all_frames_until_a_time_are_answered(node: Node) -> None:
    """By whomever; those of another link, and later ones, do not count."""
    node.owns.add("yard")
    node.arrive("a", 1)
    node.arrive("b", 2, camera="yard")
    assert node.queue.has_settled("split", 0.5)
    assert node.queue.has_settled("other", 2.0)
    node.queue.answered("door", "a")
    assert node.queue.has_settled("split", 1.0)
    assert not node.queue.has_settled("split", 2.0)
    frame = node.take()
    assert frame is not None
    node.queue.replied(frame, [7])
    assert not node.queue.has_settled("split", 2.0)
    node.queue.published(7)
    assert node.queue.has_settled("split", 2.0)


def test_a_frame_that_waits_is_dropped_when_another_node_answers_it(node: Node) -> None:
    """As when a node comes back to frames that others have taken over; the account tells."""
    node.owns.add("door")
    node.arrive("a", 1)
    node.arrive("b", 2)
    node.queue.answered("door", "a")
    assert node.acknowledged == [1]
    frame = node.take()
    assert frame is not None
    assert frame.frame_id == "b"
    node.queue.answered("door", "b")  # too late: it is in work
    assert node.acknowledged == [1]
    assert node.queue.account().total == Count(received=2, dropped={"answered_elsewhere": 1}, in_work=1)


def test_frames_that_are_not_divided_are_nobody_elses_business() -> None:
    """Another group may have a camera of the same name."""
    queue = FrameQueue([SimplePolicy(delivery="every")], lambda _: None)
    queue.arrive(make_frame(frame_id="a", delivery=Delivery("every", 1, 1), arrived=time.monotonic()))
    queue.answered("door", "a")
    assert queue.take(0.0) is not None


def test_what_is_delivered_again_is_still_held_once(node: Node) -> None:
    """After a reconnect the new delivery is what must be acknowledged."""
    node.arrive("a", 1)
    frame = make_frame(frame_id="a", delivery=Delivery("split", 2, 7), redelivered=True)
    assert node.queue.arrive(frame, lambda _: False) is Verdict.IN_WORK
    node.queue.answered("door", "a")
    assert node.acknowledged == [7]


@pytest.mark.parametrize(("fields", "acknowledged"), [({"sender_id": True}, [1, 2]), ({}, [1])])
def test_a_repeated_image_is_another_frame_unless_its_sender_says_so(
    node: Node, fields: dict[str, bool], acknowledged: list[int]
) -> None:
    """One answer stands for one of two equal images, and for both of one id."""
    node.arrive("a", 1, **fields)
    node.arrive("a", 2, **fields)
    node.queue.answered("door", "a")
    assert node.acknowledged == acknowledged


def test_an_image_of_ours_that_repeats_itself_is_answered(node: Node) -> None:
    """A late answer of another node to the one before must not swallow it."""
    node.owns.add("door")
    node.arrive("a", 1)
    frame = node.take()
    assert frame is not None
    node.queue.replied(frame, ())
    node.queue.answered("door", "a")
    node.arrive("a", 2)
    assert node.take() is not None


def test_memory_of_answers_is_bounded() -> None:
    """The oldest is forgotten: its frame is then held, and answered again in the end."""
    held = HeldFrames(remembered=2)
    for frame_id in "abc":
        held.remember("door", frame_id)
    assert [held.was_answered(make_frame(frame_id=frame_id)) for frame_id in "abc"] == [False, True, True]
