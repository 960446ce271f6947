"""Prometheus metrics, made from a snapshot of the worker at each scrape.

Counting is done once, by the parts that do the work; this module only translates. Only the distribution of stage
times, which no snapshot has, is observed here. The cameras' names come from outside;
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
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from edge_worker.frames.counters import Count
    from edge_worker.mqtt.status import LinkStatus
    from edge_worker.pool import ProcessInfo
    from edge_worker.service.result_cache import CacheStats

STAGES: Final = ("queued", "decode", "preprocess", "inference", "postprocess", "render", "encode", "total")
# From a cached result (1 ms) to a full-size model on a small box (30 s), three steps a decade.
STAGE_BUCKETS_S: Final = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0)
_MB: Final = 1_000_000

_COUNTER, _GAUGE = CounterMetricFamily, GaugeMetricFamily
_Kind: TypeAlias = type[CounterMetricFamily] | type[GaugeMetricFamily]
_Fact: TypeAlias = tuple[_Kind, str, str, str]
"""Kind, name and description of a metric, and the attribute that has its value."""

_OF_CAMERAS: Final[tuple[_Fact, ...]] = (
    (_COUNTER, "frames_received", "Frames that arrived", "received"),
    (_COUNTER, "frames_processed", "Frames that got results", "processed"),
    (_GAUGE, "frames_waiting", "Frames not yet begun", "waiting"),
    (_GAUGE, "frames_in_work", "Frames begun and not yet finished", "in_work"),
    (
        _GAUGE,
        "oldest_waiting_frame_age_seconds",
        "Age of the waiting frame next in line, 0 for none",
        "oldest_waiting_s",
    ),
)
_OF_PROCESSES: Final[tuple[_Fact, ...]] = (
    (_COUNTER, "model_frames", "Frames a model process has parsed", "frames"),
    (_COUNTER, "model_crashes", "Unplanned ends of a model process", "crashes"),
    (_COUNTER, "model_recycles", "Planned ends of a model process", "recycles"),
)
_OF_LINKS: Final[tuple[_Fact, ...]] = (
    (_GAUGE, "link_connected", "1 while the broker accepts the link", "connected"),
    (_COUNTER, "link_connections", "Connections made, the first included", "epoch"),
    (_COUNTER, "link_sessions_lost", "Sessions the broker had forgotten", "sessions_lost"),
    (_COUNTER, "link_publications_lost", "Messages that were given up", "publications_lost"),
    (
        _COUNTER,
        "link_publications_without_subscriber",
        "Messages, other than retained ones, that the broker had nobody to give to",
        "publications_without_subscriber",
    ),
    (_GAUGE, "link_queued", "Messages the broker has not confirmed yet", "queued"),
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
        """Call *snapshot* at each scrape, in the scraper's thread; it must not block for long."""
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

        The usual one where the header asks for a version that is not a number, which prometheus_client cannot handle.
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
        state = {(state.value,): state is now.state for state in State}
        yield _family(_GAUGE, "state", "1 for the state the worker is in, 0 for the others", ("state",), state)
        yield from _each("camera", _OF_CAMERAS, now.cameras)
        rejected = {camera: counts.rejected for camera, counts in now.cameras.items()}
        dropped = {camera: counts.dropped for camera, counts in now.cameras.items()}
        yield _by_reason("frames_rejected", "Frames that got an error", rejected)
        yield _by_reason("frames_dropped", "Frames that got no reply", dropped)
        yield _total(_COUNTER, "duplicate_frames", "Redelivered frames recognised as such", now.duplicates)
        yield _total(_GAUGE, "frames_held", "Frames kept until another node has answered", now.held)
        memory = {(name,): process.rss_mb * _MB for name, process in now.processes.items()}
        yield _family(_GAUGE, "model_resident_bytes", "Memory of a model process", ("process",), memory)
        yield from _each("process", _OF_PROCESSES, now.processes)
        yield from _each("link", _OF_LINKS, now.links)
        expiries = {(key,): expiry for key, expiry in now.certificates.items()}
        text = "When a certificate expires, since 1970"
        yield _family(_GAUGE, "certificate_expiry_timestamp_seconds", text, ("key",), expiries)
        yield _total(_COUNTER, "cache_hits", "Frames whose result came from the cache", now.cache.hits)
        yield _total(_COUNTER, "cache_misses", "Frames the result cache did not hold", now.cache.misses)
        yield _total(_GAUGE, "cache_bytes", "Size of the results held", now.cache.size_bytes)


def _each(label: str, table: Iterable[_Fact], subjects: Mapping[str, Any]) -> Iterator[Metric]:
    """Make a family of each fact in *table*, with a sample of each of *subjects* by its name."""
    for kind, name, text, attribute in table:
        samples = {(subject,): getattr(facts, attribute) for subject, facts in subjects.items()}
        yield _family(kind, name, text, (label,), samples)


def _by_reason(name: str, text: str, cameras: Mapping[str, Mapping[str, int]]) -> Metric:
    samples = {(camera, reason): count for camera, reasons in cameras.items() for reason, count in reasons.items()}
    return _family(_COUNTER, name, text, ("camera", "reason"), samples)


def _total(kind: _Kind, name: str, text: str, value: float) -> Metric:
    return _family(kind, name, text, (), {(): value})


def _family(kind: _Kind, name: str, text: str, labels: Sequence[str], samples: Mapping[Any, float]) -> Metric:
    """Make a family of *samples*, by the values of their *labels*."""
    family = kind(f"edge_worker_{name}", text, labels=labels)
    for values, value in samples.items():
        family.add_metric(values, float(value))
    return family
