"""When a model process is given up, restarted after a pause, or replaced as planned. Pure: time is passed in."""

from __future__ import annotations

from collections import deque
from math import inf
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from edge_worker.config import WatchdogConfig

_RECENT_FRAMES = 100  # the slowest of them sets the limit: enough to include a rare large image
_LONGEST_PAUSE_S = 60.0  # between restarts of a process that keeps failing

FAILURES_ALLOWED: Final = 3
"""Consecutive frames on which the model may fail before the process is replaced."""

# In these a network is read or compiled; the others are work on a frame.
LOADING_PHASES = frozenset({"start", "load", "compile", "warm_up"})
_WORKING_PHASES = frozenset({"decode", "preprocess", "inference", "postprocess", "render", "encode"})


class TimeoutPolicy:
    """Time limits of a model process, derived from its recent frames."""

    def __init__(self, watchdog: WatchdogConfig) -> None:
        """Start without recent frames: the limit is then ``watchdog.frame_min_s``."""
        self._watchdog = watchdog
        self._recent: deque[float] = deque(maxlen=_RECENT_FRAMES)

    def learn(self, seconds: float) -> None:
        """Record that a frame took *seconds*, excluding compilation."""
        self._recent.append(seconds)

    @property
    def frame_limit_s(self) -> float:
        """Time limit of a frame: ``max(frame_min_s, frame_factor x slowest recent frame)``."""
        slowest = max(self._recent, default=0.0)
        return max(self._watchdog.frame_min_s, self._watchdog.frame_factor * slowest)

    def limit_s(self, phase: str) -> float:
        """Return the time limit of *phase*."""
        return self._watchdog.load_s if phase in LOADING_PHASES else self.frame_limit_s


class PhaseClock:
    """Time that a model process has left, by phase.

    Loading and work on a frame have separate limits: a frame of a new shape waits for the compiler. A limit is not
    reset when the process returns to a phase, or a compromised process could alternate for ever. Time is counted in the
    slices that the caller waited, so that a pause of the caller (a frozen container, a suspended machine) does not
    count.
    """

    def __init__(self, timeouts: TimeoutPolicy, phase: str) -> None:
        """Begin in *phase*."""
        self._timeouts = timeouts
        self.phase = phase
        self.worked_s = self.loaded_s = 0.0  # in working and in loading phases

    @property
    def left_s(self) -> float:
        """Seconds left for phases of the current kind."""
        spent = self.loaded_s if self.phase in LOADING_PHASES else self.worked_s
        return self._timeouts.limit_s(self.phase) - spent

    def enter(self, phase: str) -> None:
        """Enter *phase*; raises ValueError if there is no such phase."""
        if phase not in LOADING_PHASES | _WORKING_PHASES:
            raise ValueError(f"unknown phase {phase!r:.50}")
        self.phase = phase

    def spend(self, seconds: float) -> None:
        """Count *seconds* in the current phase."""
        if self.phase in LOADING_PHASES:
            self.loaded_s += seconds
        else:
            self.worked_s += seconds


class RestartPauses:
    """Pauses before a failed process is started again: none at first, then growing up to a minute.

    The first ``crash_limit - 1`` failures within ``crash_window_s`` have no pause, later ones 1, 2, 4 … 60 seconds.
    Pauses do not count as time without a failure.
    """

    def __init__(self, watchdog: WatchdogConfig) -> None:
        """Start without failures."""
        self._watchdog = watchdog
        self._failures: deque[float] = deque()
        self._paused_s = 0.0

    def failed(self, now: float) -> float:
        """Count a failure at *now* (monotonic seconds); return the seconds to pause."""
        running = now - self._paused_s
        self._failures.append(running)
        while running - self._failures[0] > self._watchdog.crash_window_s:
            self._failures.popleft()
        return self._pause(len(self._failures) - self._watchdog.crash_limit)

    def paused(self, seconds: float) -> None:
        """Count *seconds* of a pause, which may have been cut short."""
        self._paused_s += seconds

    @staticmethod
    def _pause(excess: int) -> float:
        return 0.0 if excess < 0 else min(2.0 ** min(excess, 10), _LONGEST_PAUSE_S)


class RecyclePolicy:
    """Recycle policy of one process, starting when its model is loaded."""

    def __init__(self, limit_mb: float, loaded_mb: float) -> None:
        """Limit memory to *limit_mb* for a process that takes *loaded_mb* before its first frame.

        If it exceeds the limit already, none is applied: the next process would exceed it as well.
        """
        self.is_limited = loaded_mb <= limit_mb
        self._limit_mb = limit_mb if self.is_limited else inf
        self._failures = 0

    def worked(self) -> None:
        """Record a frame with a result."""
        self._failures = 0

    def failed(self) -> None:
        """Record a frame on which the model failed."""
        self._failures += 1

    def reason_to_replace(self, rss_mb: float) -> str:
        """Return why the process, which takes *rss_mb* now, should be replaced; empty if it should not."""
        if rss_mb > self._limit_mb:
            return f"{rss_mb:.0f} MB of memory, over memory.limit_mb: {self._limit_mb:.0f}"
        if self._failures >= FAILURES_ALLOWED:
            return f"the model failed under {self._failures} frames in a row"
        return ""
