"""What operators change by command."""

from __future__ import annotations

from dataclasses import replace

from edge_worker.inference.outputs import ImageRequest
from edge_worker.inference.types import OutputRequest
from edge_worker.service.overrides import MAX_CAMERAS, CameraOverrides, Overrides

PLAIN = OutputRequest()
OVERLAY = ImageRequest("overlay", alpha=0.3)


def test_a_cameras_setting_goes_before_the_general_one() -> None:
    """And what neither sets stays as configured."""
    overrides = Overrides()
    overrides.set(None, CameraOverrides(score_threshold=0.5))
    overrides.set("door", CameraOverrides(score_threshold=0.9))
    assert overrides.apply("door", PLAIN, OVERLAY).score_threshold == 0.9
    assert overrides.apply("yard", PLAIN, OVERLAY).score_threshold == 0.5
    assert overrides.apply("door", PLAIN, OVERLAY) == replace(PLAIN, score_threshold=0.9)


def test_a_later_general_setting_holds_for_all() -> None:
    """The newest command wins, for what it sets."""
    overrides = Overrides()
    overrides.set("door", CameraOverrides(score_threshold=0.9, overlay=True))
    overrides.set(None, CameraOverrides(score_threshold=0.5))
    assert overrides.apply("door", PLAIN, OVERLAY).score_threshold == 0.5
    assert overrides.apply("door", PLAIN, OVERLAY).image("overlay") == OVERLAY


def test_a_snapshot_is_one_overlay() -> None:
    """However often it was asked for, one dispatcher takes the wish up."""
    overrides = Overrides()
    overrides.snapshot("door")
    overrides.snapshot("door")
    assert [overrides.claim_snapshot("door") for _ in range(2)] == [True, False]


def test_names_from_outside_do_not_fill_the_memory() -> None:
    """Past a bound there is no room for further cameras; known ones can still change, and all at once."""
    overrides = Overrides()
    overlay = CameraOverrides(overlay=True)
    for number in range(MAX_CAMERAS):
        assert overrides.has_room(str(number), overlay)
        overrides.set(str(number), overlay)
    assert not overrides.has_room("one more", overlay)
    assert overrides.has_room("0", CameraOverrides(overlay=False))
    assert overrides.has_room(None, overlay)
    assert overrides.has_room("one more", CameraOverrides()), "nothing to remember"
