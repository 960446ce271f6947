"""Prometheus metrics, made from a snapshot of the worker at the moment they are asked for.

Counting is done once, by the parts that do the work; this module only translates. What cannot be derived from a
snapshot, the distribution of stage times, is the one thing observed here.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, Final, Protocol

from prometheus_client import CollectorRegistry, Histogram, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily, Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from edge_worker.cache import CacheStats

STAGES: Final = ("queued", "decode", "preprocess", "inference", "postprocess", "render", "encode", "total")
# From a cached answer (1 ms) to a full-size model on a small box (30 s), three steps a decade.
STAGE_BUCKETS_S: Final = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0)
# Topics come from outside: past this many cameras, the rest is reported together.
MAX_CAMERA_LABELS: Final = 256
OTHER_CAMERAS: Final = "(other)"
_MIB: Final = 1 << 20


class FrameCounts(Protocol):
    """What became of the frames of one camera: ``received`` is the sum of all the others."""

    @property
    def received(self) -> int:
        """Frames that arrived."""

    @property
    def processed(self) -> int:
        """Frames answered with results."""

    @property
    def rejected(self) -> Mapping[str, int]:
        """Frames answered with an error, by reason."""

    @property
    def dropped(self) -> Mapping[str, int]:
        """Frames not answered, by reason."""

    @property
    def waiting(self) -> int:
        """Frames not yet begun."""

    @property
    def in_work(self) -> int:
        """Frames begun and not yet finished."""


class ModelProcessFacts(Protocol):
    """One model process."""

    @property
    def rss_mb(self) -> float:
        """Resident memory in MiB."""

    @property
    def frames(self) -> int:
        """Frames it has worked on, restarts included."""

    @property
    def restarts(self) -> int:
        """How often it was replaced, for whatever reason."""


class LinkFacts(Protocol):
    """One connection to the broker."""

    @property
    def connected(self) -> bool:
        """Whether the broker has accepted it."""

    @property
    def epoch(self) -> int:
        """Connections made so far."""

    @property
    def sessions_lost(self) -> int:
        """Times the broker had forgotten a session it was asked to keep."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The worker at one moment. Names map to facts; their order decides which cameras keep a label of their own."""

    state: str
    ready: bool
    cameras: Mapping[str, FrameCounts]
    processes: Mapping[str, ModelProcessFacts]
    links: Mapping[str, LinkFacts]
    duplicates: int = 0
    cache: CacheStats | None = None
    build: Mapping[str, str] = field(default_factory=dict)


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
        """Return (body, content type) in the text format that the ``Accept`` header *accept* prefers."""
        encode, content_type = choose_encoder(accept)
        return encode(self._registry), content_type


class _SnapshotCollector(Collector):
    """Turns a snapshot into metric families."""

    def __init__(self, snapshot: Callable[[], Snapshot]) -> None:
        self._snapshot = snapshot

    def describe(self) -> Iterable[Metric]:
        return ()  # registering must not take a snapshot: the worker may not be built yet

    def collect(self) -> Iterator[Metric]:
        now = self._snapshot()
        yield from _worker(now)
        yield from _frames(_bounded(now.cameras))
        yield from _model_processes(now.processes)
        yield from _links(now.links)
        if now.cache is not None:
            yield from _cache(now.cache)


def _worker(now: Snapshot) -> Iterator[Metric]:
    yield InfoMetricFamily("edge_worker_build", "Versions and model in use", dict(now.build))
    yield _gauge("edge_worker_ready", "1 while frames are answered", float(now.ready))
    state = GaugeMetricFamily("edge_worker_state", "1 for the state the worker is in", labels=["state"])
    state.add_metric([now.state], 1)
    yield state
    yield _counter("edge_worker_duplicate_frames", "Redelivered frames recognised as such", now.duplicates)


def _frames(cameras: Mapping[str, FrameCounts]) -> Iterator[Metric]:
    labels = ["camera"]
    received = CounterMetricFamily("edge_worker_frames_received", "Frames that arrived", labels=labels)
    processed = CounterMetricFamily("edge_worker_frames_processed", "Frames answered with results", labels=labels)
    waiting = GaugeMetricFamily("edge_worker_frames_waiting", "Frames not yet begun", labels=labels)
    in_work = GaugeMetricFamily("edge_worker_frames_in_work", "Frames begun and not yet finished", labels=labels)
    for camera, counts in cameras.items():
        received.add_metric([camera], counts.received)
        processed.add_metric([camera], counts.processed)
        waiting.add_metric([camera], counts.waiting)
        in_work.add_metric([camera], counts.in_work)
    yield from (received, processed, waiting, in_work)
    rejected = {camera: counts.rejected for camera, counts in cameras.items()}
    dropped = {camera: counts.dropped for camera, counts in cameras.items()}
    yield _by_reason("edge_worker_frames_rejected", "Frames answered with an error", rejected)
    yield _by_reason("edge_worker_frames_dropped", "Frames not answered", dropped)


def _by_reason(name: str, text: str, cameras: Mapping[str, Mapping[str, int]]) -> Metric:
    family = CounterMetricFamily(name, text, labels=["camera", "reason"])
    for camera, reasons in cameras.items():
        for reason, count in reasons.items():
            family.add_metric([camera, reason], count)
    return family


def _model_processes(processes: Mapping[str, ModelProcessFacts]) -> Iterator[Metric]:
    labels = ["process"]
    memory = GaugeMetricFamily("edge_worker_model_resident_bytes", "Memory of a model process", labels=labels)
    frames = CounterMetricFamily("edge_worker_model_frames", "Frames a model process has worked on", labels=labels)
    restarts = CounterMetricFamily("edge_worker_model_restarts", "Replacements of a model process", labels=labels)
    for name, process in processes.items():
        memory.add_metric([name], process.rss_mb * _MIB)
        frames.add_metric([name], process.frames)
        restarts.add_metric([name], process.restarts)
    yield from (memory, frames, restarts)


def _links(links: Mapping[str, LinkFacts]) -> Iterator[Metric]:
    labels = ["link"]
    connected = GaugeMetricFamily("edge_worker_link_connected", "1 while the broker accepts the link", labels=labels)
    connections = CounterMetricFamily("edge_worker_link_connections", "Connections made so far", labels=labels)
    lost = CounterMetricFamily("edge_worker_link_sessions_lost", "Sessions the broker had forgotten", labels=labels)
    for name, link in links.items():
        connected.add_metric([name], float(link.connected))
        connections.add_metric([name], link.epoch)
        lost.add_metric([name], link.sessions_lost)
    yield from (connected, connections, lost)


def _cache(cache: CacheStats) -> Iterator[Metric]:
    yield _counter("edge_worker_cache_hits", "Frames answered from the result cache", cache.hits)
    yield _counter("edge_worker_cache_misses", "Frames the result cache did not hold", cache.misses)
    yield _gauge("edge_worker_cache_bytes", "Size of the results held", cache.size_bytes)


def _gauge(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(name, text, value=value)


def _counter(name: str, text: str, value: float) -> Metric:
    return CounterMetricFamily(name, text, value=value)


@dataclass(frozen=True, slots=True)
class _Sum:
    """The cameras that have no label of their own, added up."""

    received: int
    processed: int
    rejected: Mapping[str, int]
    dropped: Mapping[str, int]
    waiting: int
    in_work: int


def _bounded(cameras: Mapping[str, FrameCounts]) -> Mapping[str, FrameCounts]:
    """Keep the first :data:`MAX_CAMERA_LABELS` cameras apart, and add the others up under one name."""
    shown = dict(islice(cameras.items(), MAX_CAMERA_LABELS))
    rest = [counts for camera, counts in cameras.items() if camera not in shown]
    if not rest:
        return shown
    if OTHER_CAMERAS in shown:
        rest.append(shown[OTHER_CAMERAS])
    return {**shown, OTHER_CAMERAS: _sum(rest)}


def _sum(counts: Iterable[FrameCounts]) -> FrameCounts:
    every = list(counts)
    return _Sum(
        received=sum(one.received for one in every),
        processed=sum(one.processed for one in every),
        rejected=_add(one.rejected for one in every),
        dropped=_add(one.dropped for one in every),
        waiting=sum(one.waiting for one in every),
        in_work=sum(one.in_work for one in every),
    )


def _add(tallies: Iterable[Mapping[str, int]]) -> Mapping[str, int]:
    total: dict[str, int] = {}
    for tally in tallies:
        for reason, count in tally.items():
            total[reason] = total.get(reason, 0) + count
    return total
