"""The model processes: kept up, watched, and given frames."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edge_worker.config import Config
    from edge_worker.lifecycle import Deadline
    from edge_worker.results import EncodedResult, ModelCardFacts, OutputRequest


@dataclass(frozen=True, slots=True)
class ProcessInfo:
    """One model process as seen from the worker.

    Attributes:
        pid: None while there is none.
        ready: it can take a frame, or is at work on one.
        phase: starting, load, warm-up, idle, one of a frame's phases (decode … encode, compile), pause or stopped.
        detail: why it is not ready; empty when it is.
        rss_mb: resident memory, MB.
        frames: answered by this slot since the worker started.
        crashes, recycles: unplanned and planned restarts since the worker started.
        frame_limit_s: the limit in force; a frame longer in work is killed.
    """

    pid: int | None
    ready: bool
    phase: str
    detail: str
    rss_mb: float
    frames: int
    crashes: int
    recycles: int
    frame_limit_s: float


@dataclass(frozen=True, slots=True)
class PoolState:
    """The pool at one moment.

    Attributes:
        ready: every process can take frames.
        loading: not ready, and nothing has failed since the start: the first loading is going on.
        detail: why it is not ready, for the status; empty when it is.
    """

    ready: bool
    loading: bool
    detail: str
    processes: tuple[ProcessInfo, ...]


class ModelPool:
    """``threads.processes`` model processes, one per slot, each with its own thread that keeps it up.

    One caller per slot: the worker has a dispatcher thread for each. A dispatcher first waits for its slot
    (:meth:`wait_ready`), then takes a frame, then calls :meth:`run`.
    """

    def __init__(
        self,
        config: Config,
        *,
        state_directory: Path | None,
        cache_directory: Path | None,
        on_change: Callable[[], None] = lambda: None,
    ) -> None:
        """Prepare; nothing is started.

        Args:
            config: its sections model, threads, watchdog, memory, limits and palette are used.
            state_directory: keeps ``quarantine.json``; None: the quarantine is kept in memory only.
            cache_directory: keeps compiled networks; None: they are compiled at every start.
            on_change: called without locks held, from the pool's threads, when :meth:`state` or :meth:`card` changed;
                it must be quick and must not raise.
        """
        raise NotImplementedError

    @property
    def slots(self) -> int:
        """How many processes; slots are numbered from 0."""
        raise NotImplementedError

    def start(self) -> None:
        """Start every process; returns at once."""
        raise NotImplementedError

    def stop(self, deadline: Deadline) -> None:
        """Let frames in work finish while *deadline* lasts, then end every process and thread."""
        raise NotImplementedError

    def restart(self) -> None:
        """Restart every process after the frame it is at work on; returns at once. Counted as planned."""
        raise NotImplementedError

    def wait_ready(self, slot: int, timeout: float) -> bool:
        """Wait at most *timeout* seconds until *slot* can take a frame; False if it cannot."""
        raise NotImplementedError

    def run(self, slot: int, payload: bytes, payload_sha: str, request: OutputRequest) -> EncodedResult:
        """Parse one frame in *slot*; blocks until it is answered or the process was found dead or stuck.

        Args:
            slot: 0 … slots - 1, not at work for another caller.
            payload: the message as it came.
            payload_sha: SHA-256 of the payload, 64 hex digits.
            request: what is wanted.

        Raises:
            FrameRejected: the frame cannot be answered: not a picture we accept, a failure of the model under it, or
                ``poisoned``: the process ended twice in a row under this payload.
            ModelProcessError: the process ended (died, stuck and killed, not ready or stopping) under this frame,
                which may be tried again as often as this is raised: the quarantine puts an end to it.
        """
        raise NotImplementedError

    def state(self) -> PoolState:
        """What the processes are doing."""
        raise NotImplementedError

    def card(self) -> ModelCardFacts | None:
        """The facts of the model last loaded; None before the first process was ready."""
        raise NotImplementedError

    def alive_at(self) -> float:
        """``time.monotonic()`` at which the least active of the pool's threads was last seen advancing."""
        raise NotImplementedError
