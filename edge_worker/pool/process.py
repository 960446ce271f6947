"""Worker-side handle of one model process: start, run frames under deadlines, stop."""

from __future__ import annotations

import os
import subprocess
from contextlib import contextmanager, suppress
from dataclasses import asdict
from time import monotonic
from typing import TYPE_CHECKING, Any, TypeVar

import structlog

from edge_worker.common import log_events
from edge_worker.common.errors import ModelProcessDied, ModelProcessStuck
from edge_worker.common.processes import how_it_ended
from edge_worker.inference.ipc import Channel, ProtocolError
from edge_worker.pool import proc
from edge_worker.pool.launch import spawn
from edge_worker.pool.timeouts import PhaseClock
from edge_worker.pool.validation import RelayedLog, card_of, failure_of, rejection_of, result_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from edge_worker.inference.ipc import Message
    from edge_worker.inference.types import EncodedResult, ModelCardFacts, ModelSettings, OutputRequest
    from edge_worker.pool.launch import Launch
    from edge_worker.pool.timeouts import TimeoutPolicy

_T = TypeVar("_T")
_log = structlog.get_logger(__name__)

# Limit of a frame's encoded images, far above real ones: noise takes 3 bytes per pixel as an RGB map, 2 as an overlay.
_RESULT_BYTES_PER_PIXEL = 8
_RESULT_RESERVE_BYTES = 1_000_000
_SLICE_S = 0.5  # longest wait between two heartbeats of the waiting thread
_STOPPED_LIMIT_S = 3.0  # for which a signal may stop a process before it is given up
_GRACE_S = 2.0  # from closing the channel to SIGKILL
_MAX_TRACE = 10_000  # characters of a traceback that are logged: the last ones, which say what happened
_REAP_S = 10.0  # from SIGKILL to giving up on a process that hangs in the kernel


class ModelProcess:
    """A child process and its channel. Belongs to one thread; only :meth:`kill` may be called from others."""

    def __init__(self, launch: Launch, timeouts: TimeoutPolicy, beat: Callable[[], None]) -> None:
        """Start it.

        Args:
            launch: command, environment and first message.
            timeouts: limits, shared by consecutive processes of a slot.
            beat: called at least once a second while waiting.

        Raises:
            ModelProcessDied: it cannot be started.
        """
        self._launch = launch
        self._timeouts = timeouts
        self._beat = beat
        self._stopped_since: float | None = None
        self._log = RelayedLog()
        self.phase = "start"
        self.ended_from_outside = False  # stopped by a signal, or ended before it got a frame: not the frame's fault
        try:
            self._process, ours = spawn(launch)
        except OSError as error:
            raise ModelProcessDied(f"cannot be started: {error}", phase=self.phase) from error
        self._channel = Channel(ours, max_blob_bytes=_max_result_bytes(launch.settings))

    def close(self) -> None:
        """End the process: gracefully if it is idle, otherwise at once. One that hangs in the kernel is abandoned."""
        self._channel.close()
        self._end()

    @property
    def pid(self) -> int:
        """Process ID."""
        return self._process.pid

    @property
    def rss_mb(self) -> float:
        """Resident memory in MB; 0 if it has ended."""
        return proc.rss_mb(self.pid)

    def kill(self) -> None:
        """Kill the process; harmless if it has ended."""
        self._process.kill()

    def load(self) -> ModelCardFacts:
        """Send the settings and wait until the model is loaded and warmed up.

        Raises:
            ModelError, ConfigError: the model cannot be used, at all or as configured.
            ModelProcessDied, ModelProcessStuck: it ended, or exceeded ``load_s``.
        """
        clock = PhaseClock(self._timeouts, "load")
        header, _ = self._ask(clock, self._first_message())
        self.phase = "idle"
        with self._validated(clock):
            if header["type"] == "failed":
                raise failure_of(header)
            self._timeouts.learn(min(clock.loaded_s, float(header["warm_up_s"])))  # warm-up is a part of loading
            return card_of(header)

    def _first_message(self) -> dict[str, Any]:
        settings, sandbox = asdict(self._launch.settings), asdict(self._launch.sandbox)
        return {"type": "settings", "parent": os.getpid(), "settings": settings, "sandbox": sandbox}

    def run(self, payload: bytes, request: OutputRequest) -> EncodedResult:
        """Parse one frame.

        Raises:
            FrameRejected: it has no result; the process can take the next one.
            ModelProcessDied, ModelProcessStuck: the process ended, or exceeded the frame's limit.
        """
        if self._process.poll() is not None:
            self.ended_from_outside = True
            raise self._death("idle")
        clock = PhaseClock(self._timeouts, "decode")
        header, blobs = self._ask(clock, {"type": "frame", "request": asdict(request)}, payload)
        self.phase = "idle"
        with self._validated(clock):
            if header["type"] == "rejected":
                _tell_trace(header)
                raise rejection_of(header)
            result = result_of(header, blobs, request)
        if clock.loaded_s:
            seconds = round(clock.loaded_s, 2)
            _log.info(log_events.MODEL_SHAPE, seconds=seconds)
        self._timeouts.learn(clock.worked_s)  # not of rejected frames: many quick ones would shorten the limit
        return result

    def check(self) -> None:
        """Check that the idle process is alive; call it periodically.

        Raises:
            ModelProcessDied, ModelProcessStuck: it has ended, or was stopped by a signal.
        """
        if self._process.poll() is not None:
            raise self._death("idle")
        self._look_for_a_stop("idle")

    def _ask(self, clock: PhaseClock, header: dict[str, Any], *blobs: bytes) -> Message:
        """Send a message and wait for the reply, applying the limits of the phases that the process announces."""
        self.phase = clock.phase
        self._channel.post(header, *blobs)
        self._within_limit(clock, self._channel.flush)
        while True:
            header, blobs = self._within_limit(clock, self._channel.receive)
            if header.get("type") not in {"phase", "log"}:
                return header, blobs
            with self._validated(clock):
                if header["type"] == "phase":
                    clock.enter(str(header["phase"]))
                else:
                    self._log.write(header)
            self.phase = clock.phase

    def _within_limit(self, clock: PhaseClock, attempt: Callable[[float], _T]) -> _T:
        """Repeat an *attempt* (given a timeout) until it succeeds or the *clock* has run out."""
        while clock.left_s > 0:
            began = monotonic()
            try:
                with self._validated(clock):
                    return attempt(min(_SLICE_S, clock.left_s))
            except TimeoutError:
                self._look_for_a_stop(clock.phase)
            finally:
                self._beat()
                clock.spend(min(monotonic() - began, 2 * _SLICE_S))
        raise self._stuck(clock.phase)

    @contextmanager
    def _validated(self, clock: PhaseClock) -> Iterator[None]:
        """Raise ModelProcessDied if the process ends or its reply is invalid."""
        try:
            yield
        except EOFError as error:
            raise self._death(clock.phase) from error
        except (ProtocolError, LookupError, TypeError, ValueError, OverflowError) as error:
            self.kill()
            raise ModelProcessDied(f"killed for an invalid reply: {error!r:.200}", phase=clock.phase) from error

    def _death(self, phase: str) -> ModelProcessDied:
        """Wait for the process, which is ending, and describe how it ended."""
        self._end()
        return ModelProcessDied(how_it_ended(self._process.returncode), phase=phase)

    def _look_for_a_stop(self, phase: str) -> None:
        """Give up a process that has been stopped for some seconds.

        Raises:
            ModelProcessStuck: it was stopped.
        """
        now = monotonic()
        if not proc.is_stopped(self.pid):
            self._stopped_since = None
        elif self._stopped_since is None:
            self._stopped_since = now
        elif now - self._stopped_since > _STOPPED_LIMIT_S:
            raise self._stuck(phase)

    def _stuck(self, phase: str) -> ModelProcessStuck:
        """Kill the process, which makes no progress."""
        self.ended_from_outside = proc.is_stopped(self.pid)
        self.kill()
        limit = self._timeouts.limit_s(phase)
        reason = "was stopped by a signal from outside" if self.ended_from_outside else f"no reply for {limit:.1f} s"
        return ModelProcessStuck(f"{reason}, killed", phase=phase)

    def _end(self) -> None:
        """Wait for the process to exit, then kill it, then give up."""
        if not self._ends_within(_GRACE_S):
            self.kill()
            if not self._ends_within(_REAP_S):
                _log.error(log_events.MODEL_PROCESS_LEFT, pid=self.pid)

    def _ends_within(self, seconds: float) -> bool:
        until = monotonic() + seconds
        while self._process.poll() is None and monotonic() < until:
            self._beat()
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(_SLICE_S)
        return self._process.poll() is not None


def _max_result_bytes(settings: ModelSettings) -> int:
    """Return the largest size in bytes of the images of a frame under these *settings*."""
    return _RESULT_RESERVE_BYTES + _RESULT_BYTES_PER_PIXEL * settings.limits.max_pixels


def _tell_trace(header: dict[str, Any]) -> None:
    """Log the traceback of a frame, if the process sent one."""
    if trace := str(header.get("trace", "")):
        _log.error(log_events.MODEL_FAILED, trace=trace[-_MAX_TRACE:])
