"""A slot for one model process, supervised by the thread that feeds it frames."""

from __future__ import annotations

from dataclasses import dataclass
from threading import Event
from time import monotonic
from typing import TYPE_CHECKING, Final

import structlog

from edge_worker.common import log_events
from edge_worker.common.errors import ConfigError, FrameRejected, ModelError, ModelProcessDied, ModelProcessError
from edge_worker.pool.process import ModelProcess
from edge_worker.pool.state import Computed, LoadedModel, ProcessInfo, SlotState
from edge_worker.pool.timeouts import RecyclePolicy, RestartPauses, TimeoutPolicy

if TYPE_CHECKING:
    from collections.abc import Callable

    from edge_worker.config import WatchdogConfig
    from edge_worker.inference.types import ModelCardFacts, OutputRequest
    from edge_worker.pool.launch import Launch
    from edge_worker.pool.quarantine import Quarantine

_log = structlog.get_logger(__name__)

_TICK_S: Final = 0.5  # between two heartbeats during a pause


@dataclass(frozen=True, slots=True)
class SlotLimits:
    """Limits at which a process is given up or replaced: watchdog, and resident memory in MB."""

    watchdog: WatchdogConfig
    memory_mb: float


class Slot:
    """Starts a model process, gives it frames, checks it between frames, and restarts it.

    :meth:`make_ready`, :meth:`run` and :meth:`end` belong to one thread, the slot's owner; the rest may be called from
    any thread.
    """

    def __init__(
        self,
        name: str,
        launch: Launch,
        limits: SlotLimits,
        quarantine: Quarantine,
        *,
        on_loaded: Callable[[ModelCardFacts], None],
        on_change: Callable[[], None],
    ) -> None:
        """Prepare the slot without starting a process. *on_loaded* and *on_change* are called by the owner."""
        self._launch = launch
        self._limits = limits
        self._quarantine = quarantine
        self._on_loaded = on_loaded
        self._on_change = on_change
        self._timeouts = TimeoutPolicy(limits.watchdog)
        self._pauses = RestartPauses(limits.watchdog)
        self._log = _log.bind(slot=name)
        self._restart, self._stopping = Event(), Event()  # a stop sets both: _restart ends a pause
        self._killed = False
        self._condition = (SlotState.NEW, "not started")  # state and detail, replaced together
        self._reason, self._pause_s = "loading the model", 0.0  # for the next start, and the pause before it
        self._process: ModelProcess | None = None
        self._model: LoadedModel | None = None
        self._recycling = RecyclePolicy(limits.memory_mb, 0)  # of the current process
        self._frames = self._crashes = self._recycles = 0
        self.seen_at = monotonic()

    # -- for the owner thread --

    def make_ready(self) -> bool:
        """Check the process, and replace it if due; False if it cannot take a frame now.

        Blocks while a model is loading, and for a pause after crashes. Call it again at once, whatever it returned.

        Raises:
            ConfigError: the model cannot run as configured, and never did.
        """
        self._beat()
        try:
            if self._is_ready:
                self._check()
            if not self._is_ready:
                self._replace()
        except (ModelError, ModelProcessError, ConfigError) as error:
            self._failed(error)
            if isinstance(error, ConfigError) and self._model is None:
                raise
        return self._is_ready

    def run(self, payload: bytes, payload_sha: str, request: OutputRequest) -> Computed:
        """Parse a frame; raises as :meth:`edge_worker.pool.ModelPool.run` does."""
        process, model = self._process, self._model
        if not self._is_ready or process is None or model is None:
            state, detail = self._condition
            raise ModelProcessDied(f"not ready: {detail}", phase=state.value)
        try:
            result = process.run(payload, request)
        except FrameRejected as rejection:
            if rejection.reason == "model_error":
                self._recycling.failed()
            self._quarantine.survived(payload_sha)
            raise
        except ModelProcessError as error:
            if not (process.ended_from_outside or self._killed):
                self._quarantine.died(payload_sha, str(error))
            self._failed(error)
            raise
        self._frames += 1
        self._recycling.worked()
        self._quarantine.survived(payload_sha)
        return Computed(result, model)

    def end(self) -> None:
        """End the process: gracefully if it is idle, otherwise at once."""
        self._end_process()
        self._enter(SlotState.STOPPED, "stopped")

    # -- for any thread --

    def restart(self) -> None:
        """Replace the process after the frame in work, or end a pause; returns at once.

        Has no effect while a process is loading.
        """
        if self._condition[0] in {SlotState.READY, SlotState.PAUSED}:
            self._restart.set()

    def ask_stop(self) -> None:
        """Start no more processes, and give up one that is loading; returns at once."""
        self._stopping.set()
        self._restart.set()
        if not self._is_ready:
            self.kill()

    def kill(self) -> None:
        """Kill the process at once; a frame in work is not blamed."""
        self._killed = True
        if (process := self._process) is not None:
            process.kill()

    def info(self) -> ProcessInfo:
        """Return the state of the process."""
        process, (state, detail) = self._process, self._condition
        return ProcessInfo(
            pid=None if process is None else process.pid,
            state=state,
            phase=state.value if process is None else process.phase,
            detail=detail,
            rss_mb=0.0 if process is None else process.rss_mb,
            frames=self._frames,
            crashes=self._crashes,
            recycles=self._recycles,
            frame_limit_s=self._timeouts.frame_limit_s,
        )

    # -- inside --

    @property
    def _is_ready(self) -> bool:
        return self._condition[0] is SlotState.READY

    def _check(self) -> None:
        """Check that the idle process is alive, and whether it is due for replacement.

        Raises:
            ModelProcessError: it has ended, or was stopped by a signal.
        """
        process = self._process
        if process is None or self._stopping.is_set():
            return
        process.check()
        reason = self._recycling.reason_to_replace(process.rss_mb)
        if self._restart.is_set() or reason:
            self._recycles += 1
            self._reason = f"replaced by plan: {reason}" if reason else "restarted by command"
            self._enter(SlotState.LOADING, self._reason)

    def _replace(self) -> None:
        """End a process that is not ready, and load another after any pause that is due.

        Raises:
            ModelError, ModelProcessError, ConfigError: there is no process for a frame.
        """
        self._end_process()
        self._pause()
        if self._stopping.is_set():
            return
        self._restart.clear()
        self._enter(SlotState.LOADING, self._reason)
        self._process = process = ModelProcess(self._launch, self._timeouts, self._beat)
        if self._stopping.is_set():  # asked before there was a process to kill
            return
        card = process.load()
        self._on_loaded(card)
        self._model, self._recycling = LoadedModel.of(card), self._recycle_policy(process.rss_mb)
        self._enter(SlotState.READY, "")

    def _recycle_policy(self, loaded_mb: float) -> RecyclePolicy:
        """Return the recycle policy of a process that takes *loaded_mb* before its first frame."""
        recycling = RecyclePolicy(self._limits.memory_mb, loaded_mb)
        if not recycling.is_limited:
            limit_mb = self._limits.memory_mb
            self._log.warning(log_events.MEMORY_LIMIT_UNUSABLE, limit_mb=limit_mb, loaded_mb=round(loaded_mb))
        return recycling

    def _failed(self, error: ModelError | ModelProcessError | ConfigError) -> None:
        """Count an unplanned failure; the pause comes later, because the owner may hold a frame."""
        self._reason = str(error)
        if not self._killed:
            self._crashes += 1
            self._pause_s = self._pauses.failed(monotonic())
            self._log.error(log_events.MODEL_PROCESS_FAILED, error=self._reason, restart_in_s=self._pause_s)
        if self._pause_s > 0:
            self._enter(SlotState.PAUSED, f"{self._reason}; next start in {self._pause_s:.0f} s")
        else:
            self._enter(SlotState.LOADING, self._reason)

    def _pause(self) -> None:
        """Wait for the pause after the last failure; a restart or stop ends it."""
        began = monotonic()
        while (left := began + self._pause_s - monotonic()) > 0 and not self._restart.wait(min(_TICK_S, left)):
            self._beat()
        self._pauses.paused(monotonic() - began)
        self._pause_s = 0.0

    def _end_process(self) -> None:
        if self._process is not None:
            self._process.close()
            self._process = None

    def _enter(self, state: SlotState, detail: str) -> None:
        if (state, detail) == self._condition:
            return
        self._condition = (state, detail)
        self._log.info(log_events.MODEL_PROCESS, state=state.value, detail=detail)
        self._on_change()

    def _beat(self) -> None:
        self.seen_at = monotonic()
