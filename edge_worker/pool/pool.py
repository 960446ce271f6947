"""The pool: ``threads.processes`` slots, one quarantine, and the state that the rest of the worker sees."""

from __future__ import annotations

import os
import sys
from math import inf
from typing import TYPE_CHECKING

import structlog

from edge_worker.common import log_events
from edge_worker.common.errors import FrameRejected
from edge_worker.inference.types import ModelSettings
from edge_worker.ops.allowance import CpuAllowance, free_mb
from edge_worker.ops.threads import ThreadPlan
from edge_worker.pool.journal import Journal
from edge_worker.pool.launch import Launch, child_environment, sandbox_for
from edge_worker.pool.process_count import process_count
from edge_worker.pool.quarantine import Quarantine
from edge_worker.pool.slot import Slot, SlotLimits
from edge_worker.pool.state import LoadedModel, PoolState

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from edge_worker.config import Config
    from edge_worker.inference.types import ModelCardFacts, OutputRequest
    from edge_worker.pool.state import Computed

_log = structlog.get_logger(__name__)

MODEL_PROCESS = (sys.executable, "-m", "edge_worker.inference.main")


class ModelPool:
    """``threads.processes`` model processes, one per slot.

    Each slot belongs to one thread (in the worker, a dispatcher). That thread calls :meth:`make_ready` until the slot
    is ready, takes a frame, calls :meth:`run`, and repeats; finally it calls :meth:`end`. The kernel ends a process
    together with the thread that started it. All other methods may be called from any thread.
    """

    def __init__(
        self,
        config: Config,
        *,
        state_directory: Path | None,
        cache_directory: Path | None,
        on_change: Callable[[], None] = lambda: None,
        environ: Mapping[str, str] = os.environ,
        command: tuple[str, ...] = MODEL_PROCESS,
    ) -> None:
        """Prepare the pool without starting processes.

        Args:
            config: its sections model, threads, watchdog, memory, limits and palette are used.
            state_directory: keeps ``quarantine.json`` and ``in_work``; None: the quarantine is kept in memory only.
            cache_directory: keeps compiled networks; None: they are compiled at every start.
            on_change: called by the owners of slots, without locks held, when :meth:`state` or :meth:`card` changed; it
                must be quick and must not raise.
            environ: the worker's environment; a model process gets the few variables that it needs.
            command: the command that starts a model process.

        Raises:
            ConfigError: ``threads.cpus`` names a CPU that cannot be used here.
        """
        allowance = CpuAllowance.read()
        chosen = process_count(config, allowance, free_mb())
        count = chosen.count
        _log.info(log_events.MODEL_PROCESSES, count=count, reason=chosen.reason)
        plan = ThreadPlan.from_config(config.threads, allowance, count)
        settings = ModelSettings.from_config(config, plan, cache_directory)
        launch = Launch(
            command,
            child_environment(environ, plan.environment()),
            settings,
            sandbox_for(config, environ, cache_directory),
        )
        limits = SlotLimits(config.watchdog, inf if config.memory.limit_mb is None else config.memory.limit_mb)
        self._quarantine = Quarantine(state_directory)
        self._journal = Journal(state_directory, count)
        for payload_sha in self._journal.left:
            self._quarantine.died_with_worker(payload_sha)
        self._card: ModelCardFacts | None = None
        self._slots = tuple(
            Slot(f"model-{number}", launch, limits, self._quarantine, on_loaded=self._learn_card, on_change=on_change)
            for number in range(count)
        )

    @property
    def slots(self) -> int:
        """Number of processes; slots are numbered from 0."""
        return len(self._slots)

    def make_ready(self, slot: int) -> bool:
        """Start the process of *slot* if there is none, or replace it if due; False if it cannot take a frame now.

        Blocks while a model is loading, and for a pause after crashes. Call it again at once, whatever it returned.

        Raises:
            ConfigError: the model cannot run as configured, and never did.
        """
        return self._slots[slot].make_ready()

    def run(self, slot: int, payload: bytes, payload_sha: str, request: OutputRequest) -> Computed:
        """Parse one frame in *slot*; blocks until there is a result, or the process is dead or stuck.

        Args:
            slot: 0 … slots - 1.
            payload: the message as received.
            payload_sha: SHA-256 of the payload, 64 hex digits.
            request: the outputs wanted.

        Raises:
            FrameRejected: the frame has no result: it is not an image we accept, the model failed on it, or the
                quarantine refuses this payload (``poisoned``).
            ModelProcessError: the process was not ready, or ended while parsing this frame. The frame may be retried
                as often as this is raised: in the end the quarantine refuses it.
        """
        verdict = self._quarantine.verdict(payload_sha)
        if verdict is not None:
            raise FrameRejected("poisoned", verdict)
        with self._journal.entry(slot, payload_sha):
            return self._slots[slot].run(payload, payload_sha, request)

    def end(self, slot: int) -> None:
        """End the process of *slot*; its owner takes no more frames."""
        self._slots[slot].end()

    def restart(self) -> None:
        """Replace every process after the frame it is working on; returns at once. Counted as planned."""
        for slot in self._slots:
            slot.restart()

    def ask_stop(self) -> None:
        """Start no more processes, and give up those that are loading; frames in work are finished. Returns at once."""
        for slot in self._slots:
            slot.ask_stop()

    def kill(self) -> None:
        """End every process, even while it is parsing a frame; returns at once."""
        for slot in self._slots:
            slot.kill()

    def close(self) -> None:
        """Close the journal, after the owners have ended their slots."""
        self._journal.close()

    def state(self) -> PoolState:
        """Return the state of all processes."""
        processes = tuple(slot.info() for slot in self._slots)
        ready = all(process.ready for process in processes)
        details = (f"model process {number}: {info.detail}" for number, info in enumerate(processes) if not info.ready)
        return PoolState(
            ready=ready,
            loading=not ready and not any(process.restarts for process in processes),
            detail="; ".join(details),
            processes=processes,
        )

    def model(self) -> LoadedModel:
        """Return the model loaded last, once a process has been ready."""
        if self._card is None:
            raise RuntimeError("no model has been loaded yet")
        return LoadedModel.of(self._card)

    def card(self) -> ModelCardFacts | None:
        """Return the facts of the model loaded last; None before the first process was ready."""
        return self._card

    def alive_at(self) -> float:
        """Return when the least recently active owner of a slot was last active, in ``time.monotonic()`` seconds.

        At most some seconds ago while all owners work, also during restarts of processes; longer ago if one is stuck
        or has ended.
        """
        return min(slot.seen_at for slot in self._slots)

    def _learn_card(self, card: ModelCardFacts) -> None:
        if self._card is None or card.sandbox != self._card.sandbox:
            log = _log.warning if card.sandbox["refused"] else _log.info
            log(log_events.MODEL_PROCESS_CONFINED, **card.sandbox)
        self._card = card
