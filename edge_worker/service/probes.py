"""Readings of a running worker: counts and times for stats and metrics, and whether all its parts advance."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from edge_worker import __version__
from edge_worker.ops.health import Check, Health
from edge_worker.service.lifecycle import State
from edge_worker.service.metrics import Metrics, Snapshot
from edge_worker.service.stats import Stopwatch

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from edge_worker.frames.queue import FrameQueue
    from edge_worker.messages import StatsMessage
    from edge_worker.pool import ModelPool
    from edge_worker.service.links import Links
    from edge_worker.service.result_cache import ResultCache
    from edge_worker.service.stats import Reporter
    from edge_worker.service.status import NodeStatus

STALLED_S: Final = 10.0
"""A part that has not advanced for this long is reported as not alive."""


class Probes:
    """Reads the parts of one worker. Safe to call from any thread."""

    def __init__(
        self,
        node: str,
        *,
        frame_queue: FrameQueue,
        pool: ModelPool,
        links: Links,
        cache: ResultCache,
        node_status: NodeStatus,
        reporter: Reporter,
        certificates: Callable[[], Mapping[str, float]],
    ) -> None:
        """Read these parts of the worker; *certificates* returns when each expires."""
        self._node = node
        self._frame_queue, self._pool, self._links, self._cache = frame_queue, pool, links, cache
        self._node_status, self._reporter = node_status, reporter
        self._certificates, self._stopwatch = certificates, Stopwatch()
        self._metrics = Metrics(self._snapshot)
        self._main_loop_at = time.monotonic()

    def main_loop_advanced(self) -> None:
        """Note that the main loop advances."""
        self._main_loop_at = time.monotonic()

    def observe(self, timings_ms: dict[str, float], age_ms: float) -> None:
        """Take in the times of one processed frame."""
        self._stopwatch.observe(timings_ms, age_ms)
        self._metrics.observe(timings_ms)

    def stats(self, *, restart: bool) -> StatsMessage:
        """The stats message as of now; with *restart* its times begin anew."""
        return self._reporter.stats(
            account=self._frame_queue.account(),
            processes=self._pool.state().processes,
            links=self._links.statuses(),
            cache=self._cache.stats(),
            readings=self._stopwatch.read(restart=restart),
        )

    def exposition(self, accept: str) -> tuple[bytes, str]:
        """The metrics; see :meth:`edge_worker.service.metrics.Metrics.exposition`."""
        return self._metrics.exposition(accept)

    def alive(self) -> Health:
        """Whether main loop, network threads and model processes all advance."""
        now = time.monotonic()
        unhealthy, pool_at = self._links.unhealthy(), self._pool.alive_at()
        return Health(
            (
                Check("main_loop", now - self._main_loop_at < STALLED_S),
                Check("network", not unhealthy, unhealthy and f"thread dead or stuck: {unhealthy}"),
                Check("model", now - pool_at < STALLED_S, f"last advanced {now - pool_at:.1f} s ago"),
            )
        )

    def ready(self) -> Health:
        """Whether frames get replies."""
        state = self._node_status.state
        return Health((Check("state", state is State.ONLINE, state.value),))

    def _snapshot(self) -> Snapshot:
        account, processes = self._frame_queue.account(), self._pool.state().processes
        return Snapshot(
            state=self._node_status.state,
            cameras=account.cameras,
            processes={str(slot): process for slot, process in enumerate(processes)},
            links=self._links.statuses(),
            duplicates=account.total.duplicates,
            held=self._frame_queue.held(),
            cache=self._cache.stats(),
            build={"version": __version__, "node": self._node},
            certificates=self._certificates(),
        )
