"""The metrics page, read back with Prometheus' own parser."""

from __future__ import annotations

from dataclasses import replace

import pytest
from prometheus_client.parser import text_string_to_metric_families
from samples import make_link_status

from edge_worker.frames.counters import Count
from edge_worker.pool import ProcessInfo, SlotState
from edge_worker.service.lifecycle import State
from edge_worker.service.metrics import Metrics, Snapshot
from edge_worker.service.result_cache import CacheStats

PROCESS = ProcessInfo(
    pid=1,
    state=SlotState.READY,
    phase="idle",
    detail="",
    rss_mb=100.0,
    frames=9,
    crashes=2,
    recycles=1,
    frame_limit_s=30.0,
)
LINK = make_link_status(epoch=4, sessions_lost=1, publications_lost=6, publications_without_subscriber=3, queued=2)
DOOR = Count(
    received=9,
    processed=4,
    rejected={"undecodable": 2},
    dropped={"superseded": 1},
    waiting=1,
    in_work=1,
    oldest_waiting_s=2.5,
)
SNAPSHOT = Snapshot(
    state=State.ONLINE,
    cameras={"door": DOOR},
    processes={"0": PROCESS},
    links={"live": LINK},
    duplicates=5,
    held=12,
    cache=CacheStats(hits=7, misses=8, size_bytes=1024),
    build={"version": "1.2.3", "node": "box"},
    certificates={"cert_file": 2e9},
)


def scrape(page: Metrics) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    """Return every sample of the page: (name, sorted labels) → value."""
    text = page.exposition()[0].decode()
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_every_fact_of_the_snapshot_is_a_sample() -> None:
    """Nothing of the snapshot is lost or renamed on the way to Prometheus."""
    got = scrape(Metrics(lambda: SNAPSHOT))
    door, process, link = (("camera", "door"),), (("process", "0"),), (("link", "live"),)
    expected = {
        ("edge_worker_frames_received_total", door): 9,
        ("edge_worker_frames_processed_total", door): 4,
        ("edge_worker_frames_rejected_total", (*door, ("reason", "undecodable"))): 2,
        ("edge_worker_frames_dropped_total", (*door, ("reason", "superseded"))): 1,
        ("edge_worker_frames_waiting", door): 1,
        ("edge_worker_frames_in_work", door): 1,
        ("edge_worker_oldest_waiting_frame_age_seconds", door): 2.5,
        ("edge_worker_model_resident_bytes", process): 100_000_000,
        ("edge_worker_model_frames_total", process): 9,
        ("edge_worker_model_crashes_total", process): 2,
        ("edge_worker_model_recycles_total", process): 1,
        ("edge_worker_link_connected", link): 1,
        ("edge_worker_link_connections_total", link): 4,
        ("edge_worker_link_sessions_lost_total", link): 1,
        ("edge_worker_link_publications_lost_total", link): 6,
        ("edge_worker_link_publications_without_subscriber_total", link): 3,
        ("edge_worker_link_queued", link): 2,
        ("edge_worker_certificate_expiry_timestamp_seconds", (("key", "cert_file"),)): 2e9,
        ("edge_worker_duplicate_frames_total", ()): 5,
        ("edge_worker_frames_held", ()): 12,
        ("edge_worker_cache_hits_total", ()): 7,
        ("edge_worker_cache_misses_total", ()): 8,
        ("edge_worker_cache_bytes", ()): 1024,
        ("edge_worker_state", (("state", "online"),)): 1,
        ("edge_worker_state", (("state", "degraded"),)): 0,
        ("edge_worker_build_info", (("node", "box"), ("version", "1.2.3"))): 1,
    }
    assert {name: got.get(name) for name in expected} == expected


def test_each_scrape_is_fresh() -> None:
    """The page follows the worker, and is not asked of it before the first scrape."""
    asked = []

    def snapshot() -> Snapshot:
        asked.append(1)
        return replace(SNAPSHOT, duplicates=len(asked))

    page = Metrics(snapshot)
    assert not asked
    assert scrape(page)["edge_worker_duplicate_frames_total", ()] == 1
    assert scrape(page)["edge_worker_duplicate_frames_total", ()] == 2


def test_stage_times_are_distributions_in_seconds() -> None:
    """Milliseconds of the contract become seconds; a stage the contract does not know is left out."""
    page = Metrics(lambda: SNAPSHOT)
    page.observe({"decode": 4.0, "total": 150.0, "nonsense": 1.0})
    got = scrape(page)
    assert got["edge_worker_stage_seconds_sum", (("stage", "decode"),)] == pytest.approx(0.004)
    assert got["edge_worker_stage_seconds_bucket", (("le", "0.1"), ("stage", "total"))] == 0
    assert got["edge_worker_stage_seconds_bucket", (("le", "0.2"), ("stage", "total"))] == 1
    assert got["edge_worker_stage_seconds_count", (("stage", "render"),)] == 0
    assert not any(("stage", "nonsense") in labels for _, labels in got)


def test_the_worker_process_is_measured_too() -> None:
    """The small process beside the model has its own memory figure."""
    assert scrape(Metrics(lambda: SNAPSHOT))["process_resident_memory_bytes", ()] > 0


def test_openmetrics_is_spoken_when_asked_for() -> None:
    """The Accept header of a newer Prometheus gets the newer format."""
    body, content_type = Metrics(lambda: SNAPSHOT).exposition("application/openmetrics-text; version=1.0.0")
    assert content_type.startswith("application/openmetrics-text")
    assert body.endswith(b"# EOF\n")


def test_a_version_that_is_none_gets_the_usual_page() -> None:
    """Who asks for nonsense gets what who asks for nothing gets; no error page, and no traceback in the log."""
    page = Metrics(lambda: SNAPSHOT)
    assert page.exposition("application/openmetrics-text;version=zz")[1] == page.exposition()[1]
