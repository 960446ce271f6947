"""One place for a model process, and the thread that keeps a process in it."""

from __future__ import annotations

from dataclasses import dataclass
from threading import Condition, Event, Thread
from time import monotonic
from typing import TYPE_CHECKING

import structlog

from edge_worker.common import log_events
from edge_worker.errors import FrameRejected, ModelError, ModelProcessDied, ModelProcessError
from edge_worker.messages import ModelName
from edge_worker.pool.orders import Job, Order, Orders
from edge_worker.pool.process import ModelProcess
from edge_worker.pool.recycling import RecyclePolicy
from edge_worker.pool.state import Computed, ProcessInfo, SlotState
from edge_worker.pool.timeouts import RestartPauses, TimeoutPolicy

if TYPE_CHECKING:
    from collections.abc import Callable

    from edge_worker.common.deadline import Deadline
    from edge_worker.config import WatchdogConfig
    from edge_worker.inference.types import ModelCardFacts, OutputRequest
    from edge_worker.pool.launch import Launch
    from edge_worker.pool.quarantine import Quarantine

_log = structlog.get_logger(__name__)

_TICK_S = 0.5  # between two looks at an idle process
_LAST_WAIT_S = 2.0  # from the kill at the end of a stop to leaving the process behind


@dataclass(frozen=True, slots=True)
class SlotLimits:
    """When a process is given up or replaced: the watchdog's limits, and resident memory in MB."""

    watchdog: WatchdogConfig
    memory_mb: float


class Slot:
    """Keeps one model process up: starts it, gives it frames, looks after it between frames, starts it again."""

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
        """Prepare; :meth:`start` starts the thread, from which *on_loaded* and *on_change* are called without locks."""
        self._launch = launch
        self._limits = limits
        self._quarantine = quarantine
        self._on_loaded = on_loaded
        self._on_change = on_change
        self._timeouts = TimeoutPolicy(limits.watchdog)
        self._pauses = RestartPauses(limits.watchdog)
        self._log = _log.bind(slot=name)
        self._orders = Orders()
        self._stopping = Event()
        self._changed = Condition()  # guards _state and _detail
        self._state = SlotState.NEW
        self._detail = "not started"
        self._process: ModelProcess | None = None
        self._frames = self._crashes = self._recycles = 0  # written by the slot's thread only
        self._recycling = RecyclePolicy(limits.memory_mb, 0)  # of the present process
        self._thread = Thread(target=self._keep, name=name, daemon=True)
        self.seen_at = monotonic()

    def start(self) -> None:
        """Start the process and its keeper; returns at once."""
        self._thread.start()

    def ask_stop(self) -> None:
        """Take no more frames, end the process after the one in work; returns at once."""
        self._stopping.set()
        self._orders.put(Order.STOP)
        if self._state is not SlotState.READY:
            self._kill()

    def join(self, deadline: Deadline) -> None:
        """Wait until the thread has ended; when *deadline* has expired, kill the process under its frame.

        A process that the kernel does not let go is left behind: it ends with the worker.
        """
        if self._thread.is_alive():
            self._thread.join(deadline.remaining())
            self._kill()
            self._thread.join(_LAST_WAIT_S)

    def restart(self) -> None:
        """Start a new process after the frame in work, or cut a pause short; returns at once.

        Where one is being loaded already, nothing is done.
        """
        with self._changed:
            if self._state in {SlotState.READY, SlotState.PAUSED}:
                self._orders.put(Order.RESTART)

    def wait_ready(self, timeout: float) -> bool:
        """Wait at most *timeout* seconds until a frame can be taken; False if it cannot."""
        with self._changed:
            return self._changed.wait_for(lambda: self._state is SlotState.READY, timeout)

    def run(self, payload: bytes, payload_sha: str, request: OutputRequest) -> Computed:
        """Have a frame parsed; raises as :meth:`edge_worker.pool.ModelPool.run` does."""
        job = Job(payload, payload_sha, request)
        with self._changed:
            if self._state is not SlotState.READY or self._stopping.is_set():
                raise ModelProcessDied(f"not ready: {self._detail}", phase=self._state.value)
            self._orders.put(job)
        try:
            return job.answer.result()
        finally:
            del job  # an error's traceback keeps this frame: with the job in it, a ring that only the collector opens

    def info(self) -> ProcessInfo:
        """What is going on."""
        process = self._process
        with self._changed:
            state, detail = self._state, self._detail
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

    def _keep(self) -> None:
        """The slot's thread: one process after the other."""
        reason = "loading the model"
        try:
            while not self._stopping.is_set():
                reason = self._live(reason)
        finally:
            self._enter(SlotState.STOPPED, "stopped")

    def _live(self, reason: str) -> str:
        """Start a process, serve with it and end it; say why it ended."""
        self._enter(SlotState.LOADING, reason)
        try:
            with ModelProcess(self._launch, self._timeouts, self._beat) as process:
                reason = self._serve_until_replaced(process)
        except (ModelError, ModelProcessError) as error:
            return self._failed(error)
        finally:
            self._process = None
        self._recycles += not self._stopping.is_set()
        return reason

    def _serve_until_replaced(self, process: ModelProcess) -> str:
        """Serve, and take no more frames from the moment the process is given up; say why it is."""
        try:
            reason = self._serve(process)
        except (ModelError, ModelProcessError) as error:
            self._enter(SlotState.LOADING, str(error))
            raise
        self._enter(SlotState.LOADING, reason)
        return reason

    def _serve(self, process: ModelProcess) -> str:
        """Load the model and give the process frames until it is to be replaced; say why."""
        self._process = process
        if self._stopping.is_set():  # asked before there was a process to kill
            return Order.STOP.value
        card = process.load()
        self._on_loaded(card)
        model = ModelName.of(card)
        self._recycling = self._recycle_policy(process.rss_mb)
        self._enter(SlotState.READY, "")
        while True:
            order = self._next_order(_TICK_S)
            if isinstance(order, Order):
                return order.value
            if order is None:
                process.check()
                continue
            self._work(process, model, order)
            if reason := self._recycling.reason_to_replace(process.rss_mb):
                return f"replaced by plan: {reason}"

    def _recycle_policy(self, loaded_mb: float) -> RecyclePolicy:
        """The recycling of a process that has *loaded_mb* before its first frame."""
        recycling = RecyclePolicy(self._limits.memory_mb, loaded_mb)
        if not recycling.is_limited:
            self._log.warning(
                log_events.MEMORY_LIMIT_UNUSABLE,
                limit_mb=self._limits.memory_mb,
                loaded_mb=round(loaded_mb),
            )
        return recycling

    def _work(self, process: ModelProcess, model: ModelName, job: Job) -> None:
        try:
            result = process.run(job.payload, job.request)
        except FrameRejected as rejection:
            if rejection.reason == "model_error":
                self._recycling.failed()
            self._quarantine.survived(job.payload_sha)
            job.answer.set_exception(rejection.with_traceback(None))  # which would keep the job, as in `run`
        except Exception as error:
            if isinstance(error, ModelProcessError) and not (process.ended_from_outside or self._stopping.is_set()):
                self._quarantine.died(job.payload_sha, str(error))
            self._enter(SlotState.LOADING, str(error))  # before the caller learns of it and asks for the next frame
            job.answer.set_exception(error)
            raise
        else:
            self._frames += 1
            self._recycling.worked()
            self._quarantine.survived(job.payload_sha)
            job.answer.set_result(Computed(result, model))

    def _failed(self, error: ModelError | ModelProcessError) -> str:
        """Count a failure and pause before the next attempt; say why there is one."""
        if self._stopping.is_set():
            return Order.STOP.value
        self._crashes += 1
        pause = self._pauses.failed(monotonic())
        self._log.error(log_events.MODEL_PROCESS_FAILED, error=str(error), restart_in_s=pause)
        if pause > 0:
            self._enter(SlotState.PAUSED, f"{error}; next start in {pause:.0f} s")
            self._pause(pause)
        return str(error)

    def _pause(self, seconds: float) -> None:
        """Wait; an order cuts it short."""
        began = monotonic()
        while (left := began + seconds - monotonic()) > 0 and not self._stopping.is_set():
            if self._next_order(min(_TICK_S, left)) is not None:
                break
        self._pauses.paused(monotonic() - began)

    def _next_order(self, timeout: float) -> Job | Order | None:
        self._beat()
        return self._orders.next(timeout)

    def _enter(self, state: SlotState, detail: str) -> None:
        """Change the state; jobs and orders that an earlier state let in are void in one that is not ready."""
        with self._changed:
            if (state, detail) == (self._state, self._detail):
                return
            self._state, self._detail = state, detail
            self._changed.notify_all()
        if state is not SlotState.READY:
            self._orders.void(detail)
        self._log.info(log_events.MODEL_PROCESS, state=state.value, detail=detail)
        self._on_change()

    def _kill(self) -> None:
        if (process := self._process) is not None:
            process.kill()

    def _beat(self) -> None:
        self.seen_at = monotonic()
