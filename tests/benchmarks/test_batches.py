"""Frames in a batch, compared with one at a time."""

from __future__ import annotations

from benchmarks.batches import rows


def test_batches_are_compared_with_one_frame() -> None:
    """Time is by frame, and the ratio to one frame is taken turn by turn; a slow turn changes nothing."""
    found = rows(
        {
            "1": {"wall_ms": [10.0, 100.0], "processor_ms": [20.0, 200.0]},
            "2": {"wall_ms": [16.0, 160.0], "processor_ms": [36.0, 360.0]},
            "4": {"wall_ms": [40.0, 400.0], "processor_ms": [80.0, 800.0]},
        }
    )
    assert [row["frames a second, ratio to one"] for row in found] == [1.0, 1.25, 1.0]
    assert [row["processor time, ratio to one"] for row in found] == [1.0, 0.9, 1.0]
    assert found[1]["a frame, ms"]["median"] == 44.0
