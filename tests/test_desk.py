"""Waiting, taking, acknowledging: the desk's promises, with real threads where waiting is the point."""

from __future__ import annotations

import time
from threading import Thread
from typing import TYPE_CHECKING

from samples import SimplePolicy, make_frame

from edge_worker.accounts import Count
from edge_worker.desk import Desk
from edge_worker.frames import Delivery
from edge_worker.lifecycle import Deadline

if TYPE_CHECKING:
    from edge_worker.frames import Frame

LATEST, EVERY = SimplePolicy(), SimplePolicy(delivery="every")
SOON_S = 10.0


def make_desk(policy: SimplePolicy) -> tuple[Desk, list[Delivery]]:
    acknowledged: list[Delivery] = []
    return Desk([policy], acknowledged.append), acknowledged


def delivery(mid: int, epoch: int = 1) -> Delivery:
    return Delivery("every", epoch, mid)


def test_a_waiting_dispatcher_gets_the_frame_that_arrives() -> None:
    """``take`` wakes up for a frame; it does not wait out its time."""
    desk, _ = make_desk(LATEST)
    frame = make_frame()
    taken: list[object] = []
    taker = Thread(target=lambda: taken.append(desk.take(SOON_S)))
    taker.start()
    desk.arrive(frame)
    taker.join(SOON_S)
    assert taken == [frame]


def test_live_frames_wait_while_the_broker_is_behind() -> None:
    """The newest is taken when an answer got through; frames that must be answered are not kept waiting."""
    is_behind = {0, 1}
    desk = Desk([LATEST, EVERY], lambda _: None, lambda source: source not in is_behind)
    for number in ("old", "new"):
        desk.arrive(make_frame(frame_id=number, arrived=time.monotonic()))
    desk.arrive(make_frame(source=1))
    frames = [desk.take(0.0), desk.take(0.0)]
    assert [frame and frame.source for frame in frames] == [1, None]
    taken: list[Frame | None] = []
    taker = Thread(target=lambda: taken.append(desk.take(SOON_S)))
    taker.start()
    is_behind.clear()
    desk.published(1)
    taker.join(SOON_S / 2)
    assert [frame and frame.frame_id for frame in taken] == ["new"]


def test_a_frame_is_acknowledged_after_its_last_answer_arrived() -> None:
    """Not when it was taken, nor parsed, nor published: when the broker has every message that answers it."""
    desk, acknowledged = make_desk(EVERY)
    desk.arrive(make_frame(delivery=delivery(7)))
    frame = desk.take(SOON_S)
    assert frame is not None
    desk.answered(frame, [101, 102])
    desk.finish(frame, "processed")
    desk.published(102)
    assert acknowledged == []
    desk.published(101)
    assert acknowledged == [delivery(7)]


def test_a_frame_that_comes_again_after_its_answer_is_acknowledged_at_once() -> None:
    """Its acknowledgement was lost with a connection; the frame is not parsed again."""
    desk, acknowledged = make_desk(EVERY)
    desk.arrive(make_frame(delivery=delivery(7)))
    frame = desk.take(SOON_S)
    assert frame is not None
    desk.answered(frame, [])
    desk.finish(frame, "processed")
    desk.arrive(make_frame(redelivered=True, delivery=delivery(1, epoch=2)))
    assert acknowledged == [delivery(7), delivery(1, epoch=2)]
    assert desk.take(0.0) is None
    assert desk.account().total.duplicates == 1


def test_a_frame_laid_back_is_the_next_one() -> None:
    """The model process died under it: it is tried again before younger ones."""
    desk, _ = make_desk(EVERY)
    desk.arrive(make_frame(frame_id="first"))
    desk.arrive(make_frame(frame_id="second"))
    first = desk.take(SOON_S)
    assert first is not None
    desk.release(first)
    assert desk.take(SOON_S) is first


def test_a_closed_desk_hands_out_nothing_and_acknowledges_nothing() -> None:
    """What waits at a stop is dropped here and kept by the broker."""
    desk, acknowledged = make_desk(EVERY)
    desk.arrive(make_frame(delivery=delivery(7)))
    desk.close()
    assert desk.take(SOON_S) is None
    assert acknowledged == []
    assert dict(desk.account().total.dropped) == {"shutting_down": 1}


def test_a_paused_camera_of_latest_mode_drops_and_resumes() -> None:
    """Frames of a paused camera are counted as paused; after resume they are handed out again."""
    desk, _ = make_desk(LATEST)
    desk.pause("door")
    desk.arrive(make_frame("door"))
    assert desk.take(0.0) is None
    desk.resume("door")
    desk.arrive(make_frame("door", frame_id="later"))
    assert desk.take(SOON_S) is not None
    assert dict(desk.account().total.dropped) == {"paused": 1}


def test_settle_waits_for_the_answers_and_not_for_ever() -> None:
    """It tells how many answers are not confirmed: none once the broker has all, some if the deadline comes first."""
    desk, _ = make_desk(EVERY)
    desk.arrive(make_frame(delivery=delivery(7)))
    frame = desk.take(SOON_S)
    assert frame is not None
    desk.answered(frame, [101])
    assert desk.settle(Deadline(0.0)) == 1
    Thread(target=desk.published, args=(101,)).start()
    assert desk.settle(Deadline(SOON_S)) == 0


def test_policies_can_be_replaced_while_frames_wait() -> None:
    """A reload that sets ``max_age_s`` holds for the frame that waits already."""
    desk, _ = make_desk(LATEST)
    desk.arrive(make_frame(arrived=0.0))
    desk.set_policies([SimplePolicy(max_age_s=0.001)])
    assert desk.take(0.0) is None
    assert dict(desk.account().total.dropped) == {"too_old": 1}


def test_what_comes_after_the_close_is_dropped_as_what_waited() -> None:
    """The account says that no frame waits for a worker that takes none; the broker keeps what it was promised."""
    desk, acknowledged = make_desk(EVERY)
    desk.arrive(make_frame(frame_id="in work", delivery=delivery(1)))
    frame = desk.take(SOON_S)
    assert frame is not None
    desk.close()
    desk.arrive(make_frame(frame_id="late", delivery=delivery(2)))
    desk.release(frame)
    assert acknowledged == []
    assert desk.account().total == Count(received=2, dropped={"shutting_down": 2})
