"""What is read off the counts of frames."""

from __future__ import annotations

from edge_worker.frames.counters import Count, LateCameras


def test_a_camera_all_of_whose_frames_are_too_old_is_named_once() -> None:
    """Until one is in time, and again when that has ended: else a wrong clock drops frames in silence."""
    watch = LateCameras()
    late, later = Count(received=3, dropped={"too_old": 3}), Count(received=9, dropped={"too_old": 9})
    assert watch.newly_late({"door": late, "gate": Count(received=1, processed=1)}) == ("door",)
    assert watch.newly_late({"door": later}) == ()
    assert watch.newly_late({"door": later}) == ()  # nothing came
    mended = Count(received=10, dropped={"too_old": 9}, processed=1)
    assert watch.newly_late({"door": mended}) == ()
    assert watch.newly_late({"door": Count(received=11, dropped={"too_old": 10}, processed=1)}) == ("door",)


def test_a_slow_box_is_not_a_wrong_clock() -> None:
    """Some frames too old and others answered, with results or errors, or none arriving at all: nothing to be named."""
    watch = LateCameras()
    some = {
        "door": Count(dropped={"too_old": 5}, processed=1),
        "gate": Count(dropped={"too_old": 5}, rejected={"too_big": 1}),
    }
    assert watch.newly_late(some) == ()
    assert watch.newly_late(some) == ()
