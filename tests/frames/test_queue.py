"""Waiting, taking, acknowledging: the frame queue's promises, with real threads where waiting is the point."""

from __future__ import annotations

import time
from threading import Thread
from typing import TYPE_CHECKING

from samples import SimplePolicy, make_frame

from edge_worker.common.deadline import Deadline
from edge_worker.frames.counters import Count
from edge_worker.frames.frame import Delivery
from edge_worker.frames.queue import FrameQueue

if TYPE_CHECKING:
    from edge_worker.frames.frame import Frame

LATEST, EVERY = SimplePolicy(), SimplePolicy(delivery="every")
SOON_S = 30.0


def make_desk(policy: SimplePolicy) -> tuple[FrameQueue, list[Delivery]]:
    acknowledged: list[Delivery] = []
    return FrameQueue([policy], acknowledged.append), acknowledged


def delivery(mid: int, epoch: int = 1) -> Delivery:
    return Delivery("every", epoch, mid)


def test_a_waiting_dispatcher_gets_the_frame_that_arrives() -> None:
    """``take`` wakes up for a frame; it does not wait out its time."""
    frame_queue, _ = make_desk(LATEST)
    frame = make_frame()
    taken: list[object] = []
    taker = Thread(target=lambda: taken.append(frame_queue.take(SOON_S)))
    taker.start()
    frame_queue.arrive(frame)
    taker.join(SOON_S)
    assert taken == [frame]


def test_live_frames_wait_while_the_broker_is_behind() -> None:
    """The newest is taken when a reply got through; frames that must be answered are not kept waiting."""
    is_behind = {0, 1}
    frame_queue = FrameQueue([LATEST, EVERY], lambda _: None, lambda source: source not in is_behind)
    for number in ("old", "new"):
        frame_queue.arrive(make_frame(frame_id=number, arrived=time.monotonic()))
    frame_queue.arrive(make_frame(source=1))
    frames = [frame_queue.take(0.0), frame_queue.take(0.0)]
    assert [frame and frame.source for frame in frames] == [1, None]
    taken: list[Frame | None] = []
    taker = Thread(target=lambda: taken.append(frame_queue.take(SOON_S)))
    taker.start()
    is_behind.clear()
    frame_queue.published(1)
    taker.join(SOON_S / 2)
    assert [frame and frame.frame_id for frame in taken] == ["new"]


def test_a_frame_is_acknowledged_after_its_last_reply_arrived() -> None:
    """Not when it was taken, nor parsed, nor published: when the broker has every message of its reply."""
    frame_queue, acknowledged = make_desk(EVERY)
    frame_queue.arrive(make_frame(delivery=delivery(7)))
    frame = frame_queue.take(SOON_S)
    assert frame is not None
    frame_queue.replied(frame, [101, 102])
    frame_queue.finish(frame, "processed")
    frame_queue.published(102)
    assert acknowledged == []
    frame_queue.published(101)
    assert acknowledged == [delivery(7)]


def test_a_frame_that_comes_again_after_its_reply_is_acknowledged_at_once() -> None:
    """Its acknowledgement was lost with a connection; the frame is not parsed again."""
    frame_queue, acknowledged = make_desk(EVERY)
    frame_queue.arrive(make_frame(delivery=delivery(7)))
    frame = frame_queue.take(SOON_S)
    assert frame is not None
    frame_queue.replied(frame, [])
    frame_queue.finish(frame, "processed")
    frame_queue.arrive(make_frame(redelivered=True, delivery=delivery(1, epoch=2)))
    assert acknowledged == [delivery(7), delivery(1, epoch=2)]
    assert frame_queue.take(0.0) is None
    assert frame_queue.account().total.duplicates == 1


def test_a_frame_laid_back_is_the_next_one() -> None:
    """The model process died under it: it is tried again before younger ones."""
    frame_queue, _ = make_desk(EVERY)
    frame_queue.arrive(make_frame(frame_id="first"))
    frame_queue.arrive(make_frame(frame_id="second"))
    first = frame_queue.take(SOON_S)
    assert first is not None
    frame_queue.requeue(first)
    assert frame_queue.take(SOON_S) is first


def test_a_closed_desk_hands_out_nothing_and_acknowledges_nothing() -> None:
    """What waits at a stop is dropped here and kept by the broker."""
    frame_queue, acknowledged = make_desk(EVERY)
    frame_queue.arrive(make_frame(delivery=delivery(7)))
    frame_queue.close()
    assert frame_queue.take(SOON_S) is None
    assert acknowledged == []
    assert dict(frame_queue.account().total.dropped) == {"shutting_down": 1}


def test_a_paused_camera_of_latest_mode_drops_and_resumes() -> None:
    """Frames of a paused camera are counted as paused; after resume they are handed out again."""
    frame_queue, _ = make_desk(LATEST)
    frame_queue.pause("door")
    frame_queue.arrive(make_frame("door"))
    assert frame_queue.take(0.0) is None
    frame_queue.resume("door")
    frame_queue.arrive(make_frame("door", frame_id="later"))
    assert frame_queue.take(SOON_S) is not None
    assert dict(frame_queue.account().total.dropped) == {"paused": 1}


def test_settle_waits_for_the_replies_and_not_for_ever() -> None:
    """It tells how many answers are not confirmed: none once the broker has all, some if the deadline comes first."""
    frame_queue, _ = make_desk(EVERY)
    frame_queue.arrive(make_frame(delivery=delivery(7)))
    frame = frame_queue.take(SOON_S)
    assert frame is not None
    frame_queue.replied(frame, [101])
    assert frame_queue.settle(Deadline(0.0)) == 1
    Thread(target=frame_queue.published, args=(101,)).start()
    assert frame_queue.settle(Deadline(SOON_S)) == 0


def test_policies_can_be_replaced_while_frames_wait() -> None:
    """A reload that sets ``max_age_s`` holds for the frame that waits already."""
    frame_queue, _ = make_desk(LATEST)
    frame_queue.arrive(make_frame(arrived=0.0))
    frame_queue.set_policies([SimplePolicy(max_age_s=0.001)])
    assert frame_queue.take(0.0) is None
    assert dict(frame_queue.account().total.dropped) == {"too_old": 1}


def test_what_comes_after_the_close_is_dropped_as_what_waited() -> None:
    """The account says that no frame waits for a worker that takes none; the broker keeps what it was promised."""
    frame_queue, acknowledged = make_desk(EVERY)
    frame_queue.arrive(make_frame(frame_id="in work", delivery=delivery(1)))
    frame = frame_queue.take(SOON_S)
    assert frame is not None
    frame_queue.close()
    frame_queue.arrive(make_frame(frame_id="late", delivery=delivery(2)))
    frame_queue.requeue(frame)
    assert acknowledged == []
    assert frame_queue.account().total == Count(received=2, dropped={"shutting_down": 2})
