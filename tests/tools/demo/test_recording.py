from __future__ import annotations

from replies import error_of, labels_of

from edge_worker.tools.demo.recording import Tally


def test_stages_are_summed_up_as_median_and_95_percent() -> None:
    """Percentiles are those of the frames that were computed; cached ones count as frames only."""
    tally = Tally()
    for milliseconds in range(1, 102):
        tally.add(labels_of("c", "f", total_ms=float(milliseconds)))
    tally.add(labels_of("c", "f", total_ms=10_000.0, cached=True))
    total = tally.latency_ms()["total"]
    assert (tally.frames, tally.cached) == (102, 1)
    assert total == {"p50": 51.0, "p95": 96.0}


def test_one_frame_and_none_are_summed_up_too() -> None:
    """A demo of a single frame, or of none, has a summary."""
    tally = Tally()
    assert tally.to_values() == {
        "frames": 0,
        "cached": 0,
        "rejected": {},
        "persons": 0,
        "persons_per_frame": 0.0,
        "latency_ms": {},
    }
    tally.add(labels_of("c", "f", total_ms=7.0))
    assert tally.to_values()["latency_ms"]["total"] == {"p50": 7.0, "p95": 7.0}


def test_rejections_are_counted_by_reason() -> None:
    """The summary says why frames were rejected."""
    tally = Tally()
    for _ in range(2):
        tally.add_error(error_of("c", "f"))
    assert tally.to_values()["rejected"] == {"undecodable": 2}
