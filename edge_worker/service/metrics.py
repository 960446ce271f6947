"""Prometheus metrics, made from a snapshot of the worker at the moment they are asked for.

Counting is done once, by the parts that do the work; this module only translates. What cannot be derived from a
snapshot, the distribution of stage times, is the one thing observed here. The cameras' names come from outside;
:class:`~edge_worker.frames.scheduler.Scheduler` bounds how many are told apart, and so the number of samples here.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from prometheus_client import CollectorRegistry, Histogram, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily, Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from edge_worker.service.lifecycle import State

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from edge_worker.frames.counters import Count
    from edge_worker.mqtt.status import LinkStatus
    from edge_worker.pool import ProcessInfo
    from edge_worker.service.result_cache import CacheStats

STAGES: Final = ("queued", "decode", "preprocess", "inference", "postprocess", "render", "encode", "total")
# From a cached result (1 ms) to a full-size model on a small box (30 s), three steps a decade.
STAGE_BUCKETS_S: Final = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0)
_MB: Final = 1_000_000

_Fact: TypeAlias = tuple[type[CounterMetricFamily] | type[GaugeMetricFamily], str, str, str]
"""Kind, name and description of a metric, and the attribute that has its value."""

_OF_CAMERAS: Final[tuple[_Fact, ...]] = (
    (CounterMetricFamily, "frames_received", "Frames that arrived", "received"),
    (CounterMetricFamily, "frames_processed", "Frames that got results", "processed"),
    (GaugeMetricFamily, "frames_waiting", "Frames not yet begun", "waiting"),
    (GaugeMetricFamily, "frames_in_work", "Frames begun and not yet finished", "in_work"),
    (
        GaugeMetricFamily,
        "oldest_waiting_frame_age_seconds",
        "Age of the waiting frame next in line, 0 for none",
        "oldest_waiting_s",
    ),
)
_OF_PROCESSES: Final[tuple[_Fact, ...]] = (
    (CounterMetricFamily, "model_frames", "Frames a model process has parsed", "frames"),
    (CounterMetricFamily, "model_crashes", "Unplanned ends of a model process", "crashes"),
    (CounterMetricFamily, "model_recycles", "Planned ends of a model process", "recycles"),
)
_OF_LINKS: Final[tuple[_Fact, ...]] = (
    (GaugeMetricFamily, "link_connected", "1 while the broker accepts the link", "connected"),
    (CounterMetricFamily, "link_connections", "Connections made, the first included", "epoch"),
    (CounterMetricFamily, "link_sessions_lost", "Sessions the broker had forgotten", "sessions_lost"),
    (CounterMetricFamily, "link_publications_lost", "Messages that were given up", "publications_lost"),
    (
        CounterMetricFamily,
        "link_publications_without_subscriber",
        "Messages, other than retained ones, that the broker had nobody to give to",
        "publications_without_subscriber",
    ),
    (GaugeMetricFamily, "link_queued", "Messages the broker has not confirmed yet", "queued"),
)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The worker at one moment; mappings have names as keys."""

    state: State
    cameras: Mapping[str, Count]
    processes: Mapping[str, ProcessInfo]
    links: Mapping[str, LinkStatus]
    duplicates: int
    held: int
    cache: CacheStats
    build: Mapping[str, str] = field(default_factory=dict)
    certificates: Mapping[str, float] = field(default_factory=dict)


class Metrics:
    """The metrics of one worker, in a registry of its own."""

    def __init__(self, snapshot: Callable[[], Snapshot]) -> None:
        """Ask *snapshot* for the facts at each scrape; it is called in the scraper's thread and must not wait long."""
        self._registry = CollectorRegistry()
        self._registry.register(_SnapshotCollector(snapshot))
        ProcessCollector(registry=self._registry)
        histogram = Histogram(
            "edge_worker_stage_seconds",
            "Time a processed frame spent in each stage, and from arrival to publication (total)",
            ["stage"],
            registry=self._registry,
            buckets=STAGE_BUCKETS_S,
        )
        self._stages = {stage: histogram.labels(stage) for stage in STAGES}

    def observe(self, timings_ms: Mapping[str, float]) -> None:
        """Count one processed frame's stage times; names other than :data:`STAGES` are left out."""
        for stage in self._stages.keys() & timings_ms.keys():
            self._stages[stage].observe(timings_ms[stage] / 1000)

    def exposition(self, accept: str = "") -> tuple[bytes, str]:
        """Return (body, content type) in the text format that the ``Accept`` header *accept* prefers.

        The usual one where the header asks for a version that is no number: prometheus_client stumbles over it.
        """
        try:
            encode, content_type = choose_encoder(accept)
        except TypeError:
            encode, content_type = choose_encoder("")
        return encode(self._registry), content_type


class _SnapshotCollector(Collector):
    """Turns a snapshot into metric families."""

    def __init__(self, snapshot: Callable[[], Snapshot]) -> None:
        self._snapshot = snapshot

    def describe(self) -> Iterable[Metric]:
        return ()  # registering must not take a snapshot: the worker may not be built yet

    def collect(self) -> Iterator[Metric]:
        now = self._snapshot()
        yield InfoMetricFamily("edge_worker_build", "Version and node", dict(now.build))
        yield _state(now.state)
        yield from _each("camera", _OF_CAMERAS, now.cameras)
        rejected = {camera: counts.rejected for camera, counts in now.cameras.items()}
        dropped = {camera: counts.dropped for camera, counts in now.cameras.items()}
        yield _by_reason("edge_worker_frames_rejected", "Frames that got an error", rejected)
        yield _by_reason("edge_worker_frames_dropped", "Frames that got no reply", dropped)
        yield _counter("edge_worker_duplicate_frames", "Redelivered frames recognised as such", now.duplicates)
        yield GaugeMetricFamily(
            "edge_worker_frames_held", "Frames kept until another node has answered", value=now.held
        )
        yield _memory(now.processes)
        yield from _each("process", _OF_PROCESSES, now.processes)
        yield from _each("link", _OF_LINKS, now.links)
        yield _certificates(now.certificates)
        yield _counter("edge_worker_cache_hits", "Frames whose result came from the cache", now.cache.hits)
        yield _counter("edge_worker_cache_misses", "Frames the result cache did not hold", now.cache.misses)
        yield GaugeMetricFamily("edge_worker_cache_bytes", "Size of the results held", value=now.cache.size_bytes)


def _state(present: State) -> Metric:
    family = GaugeMetricFamily(
        "edge_worker_state", "1 for the state the worker is in, 0 for the others", labels=["state"]
    )
    for state in State:
        family.add_metric([state.value], float(state is present))
    return family


def _each(label: str, table: Iterable[_Fact], subjects: Mapping[str, Any]) -> Iterator[Metric]:
    """Make a family of each fact in *table*, with a sample of each of *subjects* by its name."""
    for kind, name, text, attribute in table:
        family = kind(f"edge_worker_{name}", text, labels=[label])
        for subject, facts in subjects.items():
            family.add_metric([subject], float(getattr(facts, attribute)))
        yield family


def _by_reason(name: str, text: str, cameras: Mapping[str, Mapping[str, int]]) -> Metric:
    family = CounterMetricFamily(name, text, labels=["camera", "reason"])
    for camera, reasons in cameras.items():
        for reason, count in reasons.items():
            family.add_metric([camera, reason], count)
    return family


def _certificates(expiries: Mapping[str, float]) -> Metric:
    family = GaugeMetricFamily(
        "edge_worker_certificate_expiry_timestamp_seconds", "When a certificate expires, since 1970", labels=["key"]
    )
    for key, expiry in expiries.items():
        family.add_metric([key], expiry)
    return family


def _memory(processes: Mapping[str, ProcessInfo]) -> Metric:
    family = GaugeMetricFamily("edge_worker_model_resident_bytes", "Memory of a model process", labels=["process"])
    for name, process in processes.items():
        family.add_metric([name], process.rss_mb * _MB)
    return family


def _counter(name: str, text: str, value: float) -> Metric:
    return CounterMetricFamily(name, text, value=value)
