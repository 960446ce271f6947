"""What operators change by command."""

from __future__ import annotations

from edge_worker.controls import MAX_CAMERAS, Controls, Overrides
from edge_worker.results import OutputRequest

PLAIN = OutputRequest()


def test_a_cameras_setting_goes_before_the_general_one() -> None:
    """And what neither sets stays as configured."""
    controls = Controls()
    controls.set(None, Overrides(score_threshold=0.5))
    controls.set("door", Overrides(score_threshold=0.9))
    assert controls.apply("door", PLAIN).score_threshold == 0.9
    assert controls.apply("yard", PLAIN).score_threshold == 0.5
    assert not controls.apply("door", PLAIN).overlay


def test_a_later_general_setting_holds_for_all() -> None:
    """The newest command wins, for what it sets."""
    controls = Controls()
    controls.set("door", Overrides(score_threshold=0.9, overlay=True))
    controls.set(None, Overrides(score_threshold=0.5))
    assert controls.apply("door", PLAIN).score_threshold == 0.5
    assert controls.apply("door", PLAIN).overlay


def test_a_snapshot_is_one_overlay() -> None:
    """However often it was asked for, one dispatcher takes the wish up."""
    controls = Controls()
    controls.snapshot("door")
    controls.snapshot("door")
    assert [controls.claim_snapshot("door") for _ in range(2)] == [True, False]


def test_names_from_outside_do_not_fill_the_memory() -> None:
    """Past a bound there is no room for further cameras; known ones can still change, and all at once."""
    controls = Controls()
    overlay = Overrides(overlay=True)
    for number in range(MAX_CAMERAS):
        assert controls.has_room(str(number), overlay)
        controls.set(str(number), overlay)
    assert not controls.has_room("one more", overlay)
    assert controls.has_room("0", Overrides(overlay=False))
    assert controls.has_room(None, overlay)
    assert controls.has_room("one more", Overrides()), "nothing to remember"
