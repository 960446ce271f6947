"""Stats: what the stopwatch showed and the account says, in the message's words."""

from __future__ import annotations

from edge_worker.frames.account import Account
from edge_worker.frames.counters import Count
from edge_worker.service.result_cache import CacheStats
from edge_worker.service.stats import MAX_SAMPLES, Readings, Reporter, Stopwatch


def test_the_spread_is_median_and_95th_percentile() -> None:
    """Of a hundred even steps."""
    watch = Stopwatch()
    for ms in range(101):
        watch.observe({"inference": ms}, 2 * ms)
    readings = watch.read(restart=False)
    assert (readings.stages["inference"].p50, readings.stages["inference"].p95) == (50, 95)
    assert readings.age is not None
    assert readings.age.count == 101


def test_a_single_frame_has_a_spread_too() -> None:
    """Percentiles of one value are that value."""
    watch = Stopwatch()
    watch.observe({"inference": 7.0}, 7.0)
    assert watch.read(restart=False).stages["inference"].p95 == 7.0


def test_reading_with_restart_begins_anew() -> None:
    """The stats command looks, the stats message takes."""
    watch = Stopwatch()
    watch.observe({"inference": 1.0}, 1.0)
    assert watch.read(restart=False).stages == watch.read(restart=True).stages != {}
    assert watch.read(restart=False).stages == {}


def test_a_busy_hour_does_not_fill_the_memory() -> None:
    """Only the newest samples are kept."""
    watch = Stopwatch()
    for _ in range(MAX_SAMPLES + 5):
        watch.observe({"inference": 1.0}, 1.0)
    assert watch.read(restart=False).stages["inference"].count == MAX_SAMPLES


def test_stats_repeat_the_account() -> None:
    """Frame for frame, per camera and in total."""
    count = Count(received=3, processed=1, rejected={"too_big": 1}, dropped={"superseded": 1})
    stats = Reporter("box-1").stats(
        account=Account(total=count, cameras={"door": count}),
        processes=(),
        links={},
        cache=CacheStats(hits=1, misses=2, size_bytes=16_000_000),
        readings=Readings(interval_s=1.0, frames_per_s=1.0, stages={}, age=None),
    )
    assert stats.total == stats.cameras["door"]
    assert (stats.total.received, stats.total.rejected) == (3, {"too_big": 1})
    assert stats.cache.size_mb == 16.0  # of cache.max_mb: 16.0
    assert 1 < stats.rss_mb < 10_000
