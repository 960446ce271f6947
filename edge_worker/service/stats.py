"""What a worker says about itself: status, model card and stats, and the snapshot behind the metrics."""

from __future__ import annotations

import os
import time
import uuid
from collections import deque
from dataclasses import dataclass
from threading import Lock
from typing import TYPE_CHECKING

from edge_worker import __version__
from edge_worker.common.percentiles import percentile
from edge_worker.common.timestamps import rfc3339
from edge_worker.messages import (
    AccountMessage,
    Cache,
    ConnectionMessage,
    ModelCard,
    ModelProcessMessage,
    SpreadMessage,
    StatsMessage,
    StatusMessage,
)
from edge_worker.pool.proc import rss_mb

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import TypeVar

    from pydantic import BaseModel

    from edge_worker.frames.account import Account
    from edge_worker.inference.types import ModelCardFacts
    from edge_worker.mqtt.status import LinkStatus
    from edge_worker.pool import ProcessInfo
    from edge_worker.service.lifecycle import Judgement
    from edge_worker.service.result_cache import CacheStats

    _M = TypeVar("_M", bound=BaseModel)

MAX_SAMPLES = 10_000  # frames between two stats messages whose times are kept; percentiles of the newest ones do
_MB = 1_000_000


@dataclass(frozen=True, slots=True)
class Readings:
    """Readings of a stopwatch: frames in ``interval_s`` seconds, and the spread of their times in milliseconds."""

    interval_s: float
    frames_per_s: float
    stages: dict[str, SpreadMessage]
    age: SpreadMessage | None


class Stopwatch:
    """Stage times and ages of the frames since the last stats message. Safe to call from any thread."""

    def __init__(self) -> None:
        """Start empty."""
        self._lock = Lock()
        self._begin()

    def _begin(self) -> None:
        self._since, self._frames = time.monotonic(), 0
        self._stages: dict[str, deque[float]] = {}
        self._ages: deque[float] = deque(maxlen=MAX_SAMPLES)

    def observe(self, timings_ms: Mapping[str, float], age_ms: float) -> None:
        """Take in one processed frame."""
        with self._lock:
            self._frames += 1
            self._ages.append(age_ms)
            for stage, value in timings_ms.items():
                self._stages.setdefault(stage, deque(maxlen=MAX_SAMPLES)).append(value)

    def read(self, *, restart: bool) -> Readings:
        """Return the readings; with *restart*, start over."""
        with self._lock:
            interval_s = max(time.monotonic() - self._since, 1e-3)
            readings = Readings(
                interval_s=round(interval_s, 3),
                frames_per_s=round(self._frames / interval_s, 3),
                stages={stage: _spread(values) for stage, values in self._stages.items()},
                age=_spread(self._ages) if self._ages else None,
            )
            if restart:
                self._begin()
            return readings


class Reporter:
    """Writes the messages of one run of the worker; what they say comes in as arguments."""

    def __init__(self, node: str, groups: tuple[str, ...] = ()) -> None:
        """Begin a session: its id tells this run's messages, and its will, from those of earlier runs."""
        self.node, self._groups = node, groups
        self._started = time.monotonic()
        self.session = uuid.uuid4().hex[:16]

    def status(self, judgement: Judgement, since: float) -> StatusMessage:
        """The status; its state was entered at epoch second *since*."""
        return StatusMessage(
            node=self.node,
            version=__version__,
            session=self.session,
            state=judgement.state.value,
            since=rfc3339(since),
            reason=judgement.reason or None,
            detail=judgement.detail or None,
            pid=os.getpid(),
            groups=self._groups or None,
        )

    def card(self, facts: ModelCardFacts) -> ModelCard:
        """The model card of the model that *facts* describe."""
        return ModelCard.of(facts, node=self.node, published_at=rfc3339(time.time()))

    def stats(
        self,
        *,
        account: Account,
        processes: Iterable[ProcessInfo],
        links: Mapping[str, LinkStatus],
        cache: CacheStats,
        readings: Readings,
    ) -> StatsMessage:
        """The stats message as of now."""
        return StatsMessage(
            node=self.node,
            session=self.session,
            published_at=rfc3339(time.time()),
            uptime_s=round(time.monotonic() - self._started, 3),
            interval_s=readings.interval_s,
            total=_read(AccountMessage, account.total),
            cameras={camera: _read(AccountMessage, count) for camera, count in account.cameras.items()},
            frames_per_s=readings.frames_per_s,
            timings_ms=readings.stages,
            age_ms=readings.age,
            processes=tuple(_read(ModelProcessMessage, process) for process in processes),
            connections=tuple(_read(ConnectionMessage, status, name=name) for name, status in links.items()),
            cache=Cache(hits=cache.hits, misses=cache.misses, size_mb=round(cache.size_bytes / _MB, 3)),
            rss_mb=round(rss_mb(os.getpid()), 1),
        )


def _read(model: type[_M], source: object, **more: object) -> _M:
    """Fill *model* from the attributes of *source* named as its fields."""
    return model(**{name: getattr(source, name) for name in model.model_fields if hasattr(source, name)}, **more)


def _spread(values: Iterable[float]) -> SpreadMessage:
    ordered = sorted(values)
    p50, p95 = (round(max(percentile(ordered, percent), 0), 3) for percent in (50, 95))
    return SpreadMessage(count=len(ordered), p50=p50, p95=p95)
