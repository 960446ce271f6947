"""Slots, queues, turns, throttles and pauses."""

from __future__ import annotations

from collections import Counter

import pytest
from samples import SimplePolicy, make_frame

from edge_worker.frames.account import OTHER
from edge_worker.frames.counters import Count
from edge_worker.frames.frame import Delivery
from edge_worker.frames.scheduler import Scheduler

LATEST, EVERY = SimplePolicy(), SimplePolicy(delivery="every")


def reasons(drops: tuple[object, ...]) -> list[str]:
    return [drop.reason for drop in drops]  # type: ignore[attr-defined]


def test_a_newer_frame_takes_the_waiting_ones_place() -> None:
    """``latest``: one slot per camera; what it held is dropped as superseded."""
    scheduler = Scheduler([LATEST])
    old, new = make_frame(frame_id="old"), make_frame(frame_id="new")
    scheduler.offer(old, 0.0)
    assert [(drop.frame, drop.reason) for drop in scheduler.offer(new, 1.0)] == [(old, "superseded")]
    assert scheduler.next(1.0).frame is new
    assert scheduler.next(1.0).frame is None


def test_every_frame_waits_its_turn() -> None:
    """``every``: frames come out in the order they came in, retained or not."""
    scheduler = Scheduler([EVERY])
    frames = [make_frame(frame_id=str(n), retained=True) for n in range(3)]
    assert [scheduler.offer(frame, 0.0) for frame in frames] == [()] * len(frames)
    assert [scheduler.next(0.0).frame for _ in frames] == frames


def test_retained_frames_are_not_live() -> None:
    """``latest``: what the broker kept from some time ago is dropped."""
    assert reasons(Scheduler([LATEST]).offer(make_frame(retained=True), 0.0)) == ["retained"]


def test_cameras_take_turns_however_fast_each_sends() -> None:
    """A camera with thirty frames a second gets as many turns as one with just enough."""
    scheduler, turns = Scheduler([LATEST]), Counter[str]()
    for tick in range(900):
        now = tick / 30
        scheduler.offer(make_frame("fast"), now)
        if tick % 5 == 0:
            for name in ("slow", "slower"):
                scheduler.offer(make_frame(name), now)
        if tick % 6 == 0:  # five frames a second
            frame = scheduler.next(now).frame
            assert frame is not None
            turns[frame.camera] += 1
            scheduler.finish(frame, "processed")
    assert set(turns.values()) == {50}


def test_a_frame_is_too_old_when_its_turn_comes() -> None:
    """The age is judged when the frame would be worked on, not when it arrives."""
    scheduler = Scheduler([SimplePolicy(max_age_s=2.0)])
    scheduler.offer(make_frame("a", arrived=0.0), 0.0)
    scheduler.offer(make_frame("b", arrived=1.5), 1.5)
    turn = scheduler.next(2.5)
    assert reasons(turn.dropped) == ["too_old"]
    assert turn.frame is not None
    assert turn.frame.camera == "b"


def test_throttling_keeps_the_newest_and_says_when_it_is_due() -> None:
    """``latest``: within the interval the newest frame waits, and those it replaces are dropped as throttled."""
    scheduler = Scheduler([SimplePolicy(min_interval_s=1.0)])
    scheduler.offer(make_frame(frame_id="1"), 0.0)
    assert scheduler.next(0.0).frame is not None
    scheduler.offer(make_frame(frame_id="2"), 0.2)
    assert reasons(scheduler.offer(make_frame(frame_id="3"), 0.4)) == ["throttled"]
    turn = scheduler.next(0.4)
    assert turn.frame is None
    assert turn.wait_s == pytest.approx(0.6)
    turn = scheduler.next(1.0)
    assert turn.frame is not None
    assert turn.frame.frame_id == "3"


def test_throttling_delays_every_and_drops_nothing() -> None:
    """``every``: the interval is kept by waiting, the broker holding what comes meanwhile."""
    scheduler = Scheduler([SimplePolicy(delivery="every", min_interval_s=1.0)])
    for n in range(3):
        assert scheduler.offer(make_frame(frame_id=str(n)), 0.0) == ()
    served = [turn.frame.frame_id for t in range(30) if (turn := scheduler.next(t / 10)).frame]
    assert served == ["0", "1", "2"]


def test_an_interval_set_by_command_outranks_the_configuration() -> None:
    """The one for all does, a later one of the camera outranks that, and a still later one for all both."""
    scheduler = Scheduler([SimplePolicy(delivery="every", min_interval_s=9.0)])
    for _ in range(4):
        scheduler.offer(make_frame(), 0.0)
    assert scheduler.next(0.0).frame
    assert scheduler.next(0.0).wait_s == 9.0
    scheduler.controls.set_min_interval(None, 5.0)
    assert scheduler.next(0.0).wait_s == 5.0
    scheduler.controls.set_min_interval("door", 2.0)
    assert scheduler.next(0.0).wait_s == 2.0
    scheduler.controls.set_min_interval(None, 3.0)
    assert scheduler.next(0.0).wait_s == 3.0
    scheduler.controls.set_min_interval("door", None)
    scheduler.controls.set_min_interval(None, None)
    assert scheduler.next(0.0).wait_s == 9.0


@pytest.mark.parametrize("camera", ["door", None])
def test_a_pause_stops_frames_and_leaves_no_stale_one_behind(camera: str | None) -> None:
    """``latest``: what waits and what arrives is dropped as paused; after the resume only new frames come out."""
    scheduler = Scheduler([LATEST])
    scheduler.offer(make_frame(), 0.0)
    assert reasons(scheduler.pause(camera)) == ["paused"]
    assert reasons(scheduler.offer(make_frame(), 1.0)) == ["paused"]
    assert scheduler.next(1.0).frame is None
    scheduler.controls.resume(camera)
    scheduler.offer(make_frame(frame_id="fresh"), 2.0)
    turn = scheduler.next(2.0)
    assert turn.frame is not None
    assert turn.frame.frame_id == "fresh"


def test_a_pause_of_every_loses_nothing() -> None:
    """``every``: frames wait until the camera is resumed."""
    scheduler = Scheduler([EVERY])
    scheduler.offer(make_frame(frame_id="1"), 0.0)
    assert scheduler.pause("door") == ()
    scheduler.offer(make_frame(frame_id="2"), 0.0)
    assert scheduler.next(0.0).frame is None
    scheduler.controls.resume()
    assert [scheduler.next(0.0).frame.frame_id, scheduler.next(0.0).frame.frame_id] == ["1", "2"]  # type: ignore[union-attr]


def test_a_released_frame_is_next() -> None:
    """When the model process dies, its frame is tried again before any other, interval or not."""
    scheduler = Scheduler([SimplePolicy(delivery="every", min_interval_s=5.0)])
    for camera in ("a", "b", "a"):
        scheduler.offer(make_frame(camera), 0.0)
    first = scheduler.next(0.0).frame
    assert first is not None
    assert scheduler.requeue(first) == ()
    assert scheduler.next(0.0).frame is first


def test_a_released_frame_is_superseded_by_a_newer_one() -> None:
    """``latest``: no old image is tried again when a new one is there."""
    scheduler = Scheduler([LATEST])
    scheduler.offer(make_frame(frame_id="1"), 0.0)
    frame = scheduler.next(0.0).frame
    assert frame is not None
    scheduler.offer(make_frame(frame_id="2"), 0.1)
    assert [(drop.frame, drop.reason) for drop in scheduler.requeue(frame)] == [(frame, "superseded")]
    assert scheduler.account(0.0).total.in_work == 0


def test_draining_drops_what_waits_and_leaves_what_is_in_work() -> None:
    """At the stop, waiting frames are counted as dropped; the one in work can still be finished."""
    scheduler = Scheduler([LATEST, EVERY])
    for n in range(3):
        scheduler.offer(make_frame("shelf", source=1, frame_id=str(n)), 0.0)
    scheduler.offer(make_frame("door"), 0.0)
    frame = scheduler.next(0.0).frame
    assert frame is not None
    assert reasons(scheduler.drain("shutting_down")) == ["shutting_down"] * 3
    scheduler.finish(frame, "processed")
    assert scheduler.account(0.0).total == Count(received=4, processed=1, dropped={"shutting_down": 3})


def test_rejections_and_duplicates_are_counted_apart() -> None:
    """A rejected frame is received; a duplicate is not."""
    scheduler = Scheduler([EVERY])
    scheduler.offer(make_frame(), 0.0)
    frame = scheduler.next(0.0).frame
    assert frame is not None
    scheduler.finish(frame, "rejected", "too_big")
    scheduler.duplicate(make_frame())
    assert scheduler.account(0.0).cameras["door"] == Count(received=1, rejected={"too_big": 1}, duplicates=1)


@pytest.mark.parametrize("word", ["superseded", "nonsense"])
def test_only_the_contracts_words_are_counted(word: str) -> None:
    """A rejection for a reason that is none is a defect, not a new column in the statistics."""
    scheduler = Scheduler([EVERY])
    scheduler.offer(make_frame(), 0.0)
    frame = scheduler.next(0.0).frame
    assert frame is not None
    with pytest.raises(ValueError, match="is none of"):
        scheduler.finish(frame, "rejected", word)


def test_invented_cameras_cannot_fill_the_memory() -> None:
    """Past the limit, idle cameras are folded into one line, and no frame is missing in the total."""
    scheduler = Scheduler([LATEST], max_cameras=10)
    for n in range(500):
        scheduler.offer(make_frame(f"invented-{n}"), float(n))
        frame = scheduler.next(float(n)).frame
        assert frame is not None
        scheduler.finish(frame, "processed")
    account = scheduler.account(0.0)
    assert len(account.cameras) == 11
    assert account.cameras[OTHER].processed == 490
    assert account.total == Count(received=500, processed=500)


def test_invented_cameras_cannot_displace_waiting_ones() -> None:
    """With every place taken by a waiting frame, a new camera's frame is dropped and counted."""
    scheduler = Scheduler([LATEST], max_cameras=2)
    for camera in ("a", "b", "c"):
        scheduler.offer(make_frame(camera), 0.0)
    assert scheduler.account(0.0).total == Count(received=3, dropped={"superseded": 1}, waiting=2)
    assert {scheduler.next(0.0).frame.camera, scheduler.next(0.0).frame.camera} == {"a", "b"}  # type: ignore[union-attr]


def test_waiting_payloads_have_a_budget() -> None:
    """Past it the frame that has waited longest goes; the newest stays, even when it alone is over the budget."""
    scheduler = Scheduler([LATEST], max_waiting_bytes=100_000)
    for n, camera in enumerate(("a", "b", "c")):
        newer = make_frame(camera, payload=b"x" * 40_000, arrived=float(n))
        assert newer not in {drop.frame for drop in scheduler.offer(newer, float(n))}
    assert scheduler.account(0.0).cameras["a"] == Count(received=1, dropped={"superseded": 1})
    newest = make_frame("d", payload=b"x" * 400_000, arrived=3.0)
    dropped = scheduler.offer(newest, 3.0)
    assert newest not in {drop.frame for drop in dropped}
    assert reasons(dropped) == ["superseded"] * 2
    assert scheduler.account(0.0).total.waiting == 1


def test_unpromised_frames_of_every_share_the_budget() -> None:
    """In QoS 0 the broker bounds nothing, so the oldest goes for newer ones; what is to be acknowledged stays."""
    scheduler = Scheduler([EVERY], max_waiting_bytes=100_000)
    for n, delivery in enumerate((Delivery("every", 1, 1), None, None)):
        frame = make_frame(frame_id=str(n), payload=b"x" * 40_000, arrived=float(n), delivery=delivery)
        dropped = scheduler.offer(frame, float(n))
    assert [(drop.frame.frame_id, drop.reason) for drop in dropped] == [("1", "superseded")]
    assert [scheduler.next(9.0).frame.frame_id, scheduler.next(9.0).frame.frame_id] == ["0", "2"]  # type: ignore[union-attr]


def test_empty_frames_take_memory_too() -> None:
    """Where nobody bounds their number, millions of them would fill it; the budget is kept when they leave."""
    scheduler = Scheduler([EVERY], max_waiting_bytes=10_000)
    for n in range(100):
        scheduler.offer(make_frame(frame_id=str(n), payload=b"", arrived=float(n)), float(n))
    kept = scheduler.account(0.0).total.waiting
    assert 0 < kept < 20
    for n in range(kept):
        frame = scheduler.next(100.0).frame
        assert frame is not None
        assert frame.frame_id == str(100 - kept + n)
    assert scheduler.offer(make_frame(payload=b"x" * 9_000), 100.0) == ()


def test_invented_cameras_of_every_are_bounded_where_nothing_is_promised() -> None:
    """In QoS 0 they are refused past the limit, as live ones are; what is to be acknowledged is always taken."""
    scheduler = Scheduler([EVERY], max_cameras=2)
    for n in range(5):
        scheduler.offer(make_frame(f"invented-{n}"), 0.0)
    scheduler.offer(make_frame("promised", delivery=Delivery("every", 1, 1)), 0.0)
    assert scheduler.account(0.0).total == Count(received=6, dropped={"superseded": 3}, waiting=3)
    assert "promised" in scheduler.account(0.0).cameras


def test_one_camera_of_two_subscriptions_is_one_line_of_the_account() -> None:
    """Each subscription keeps its own rules; the camera's counts are their sum."""
    scheduler = Scheduler([LATEST, EVERY])
    scheduler.offer(make_frame("door", source=0), 0.0)
    scheduler.offer(make_frame("door", source=1), 0.0)
    assert scheduler.account(0.0).cameras == {"door": Count(received=2, waiting=2)}


def test_the_account_tells_how_old_the_next_frame_is() -> None:
    """Since it arrived, or since it was taken where the sender said when; the total has the oldest of all cameras."""
    scheduler = Scheduler([EVERY])
    scheduler.offer(make_frame("door", arrived=1.0), 1.0)
    scheduler.offer(make_frame("door", arrived=3.0), 3.0)
    # taken two seconds before it was received
    scheduler.offer(make_frame("gate", arrived=3.0, captured_at="2023-11-14T22:13:18Z"), 3.0)
    account = scheduler.account(5.0)
    assert {name: count.oldest_waiting_s for name, count in account.cameras.items()} == {"door": 4.0, "gate": 4.0}
    assert account.total.oldest_waiting_s == 4.0
    assert scheduler.next(5.0).frame == make_frame("door", arrived=1.0)
    assert scheduler.account(6.0).cameras["door"].oldest_waiting_s == 3.0


def test_where_no_frame_waits_none_is_old() -> None:
    """One in work does not wait."""
    scheduler = Scheduler([LATEST])
    scheduler.offer(make_frame(), 0.0)
    scheduler.next(0.0)
    assert scheduler.account(9.0).cameras["door"].oldest_waiting_s == 0.0


def test_finishing_a_frame_never_handed_out_is_a_defect() -> None:
    """The account cannot be falsified by finishing twice."""
    scheduler = Scheduler([LATEST])
    scheduler.offer(make_frame(), 0.0)
    with pytest.raises(ValueError, match="in work"):
        scheduler.finish(make_frame(), "processed")
