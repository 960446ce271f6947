"""Quarantine of poison messages: payloads that crashed the model process; kept across restarts."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from threading import Lock
from typing import TYPE_CHECKING, Any

import structlog

from edge_worker.common import log_events
from edge_worker.common.files import content_of, write_whole

if TYPE_CHECKING:
    from pathlib import Path

_log = structlog.get_logger(__name__)

_FILE = "quarantine.json"
_SCHEMA = "edge-worker.quarantine/1"
_DEATHS_ALLOWED = 1  # once may be bad luck: memory was short, someone killed the process
# A worker has other reasons to end than its frames, and meets the same frame first after each of its starts. While a
# network is compiled for the frame's shape it gets nowhere with it: killed every few seconds, it had ended five times
# under a frame that was not to blame. A frame that is to blame costs some minutes of restarts.
_WORKER_DEATHS_ALLOWED = 19
_MAX_ENTRIES = 1000  # about 100 kB of file
_MAX_FILE_BYTES = 10_000_000  # a larger file is none of ours


@dataclass(frozen=True, slots=True)
class Deaths:
    """How often in a row the process ended under a payload, how the last time, and how often the worker with it."""

    count: int
    detail: str
    with_worker: int = 0

    @property
    def verdict(self) -> str | None:
        """Return why the payload must not be retried; None if it may be."""
        if self.count > _DEATHS_ALLOWED:
            return f"the model process ended {self.count} times under this payload: {self.detail}"
        if self.with_worker > _WORKER_DEATHS_ALLOWED:
            return f"the worker ended {self.with_worker} times under this payload"
        return None


_NONE = Deaths(0, "")


class Quarantine:
    """Deaths by payload hash, in a file that is replaced as a whole; safe to share between threads.

    A file that cannot be read or written costs a warning, and the quarantine goes on in memory. To let a payload in
    again, delete its entry, or the file, and restart.
    """

    def __init__(self, state_directory: Path | None) -> None:
        """Load the entries of *state_directory*; None keeps the quarantine in memory only."""
        self._file = None if state_directory is None else state_directory / _FILE
        self._lock = Lock()
        self._deaths = {} if self._file is None else _read(self._file)

    def verdict(self, payload_sha: str) -> str | None:
        """Return why the payload must not be retried; None if it may be."""
        with self._lock:
            deaths = self._deaths.get(payload_sha)
        return None if deaths is None else deaths.verdict

    def died(self, payload_sha: str, detail: str) -> None:
        """Record that the process ended while it handled the payload, as described by *detail*."""
        with self._lock:
            earlier = self._deaths.get(payload_sha, _NONE)
            self._enter(payload_sha, replace(earlier, count=earlier.count + 1, detail=detail))

    def died_with_worker(self, payload_sha: str) -> None:
        """Record that process and worker ended together while the payload was in flight."""
        with self._lock:
            earlier = self._deaths.get(payload_sha, _NONE)
            self._enter(payload_sha, replace(earlier, with_worker=earlier.with_worker + 1))

    def survived(self, payload_sha: str) -> None:
        """Record that the process survived the payload: an earlier death was not its fault."""
        with self._lock:
            if self._deaths.pop(payload_sha, None) is not None:
                self._save()

    def _enter(self, payload_sha: str, deaths: Deaths) -> None:
        self._deaths.pop(payload_sha, None)
        self._deaths[payload_sha] = deaths  # as the newest
        while len(self._deaths) > _MAX_ENTRIES:
            del self._deaths[next(iter(self._deaths))]
        self._save()

    def _save(self) -> None:
        if self._file is None:
            return
        entries = {sha: asdict(deaths) for sha, deaths in self._deaths.items()}
        try:
            write_whole(self._file, json.dumps({"schema": _SCHEMA, "payloads": entries}, indent=1).encode())
        except OSError as error:
            _log.warning(log_events.QUARANTINE_IN_MEMORY, file=str(self._file), error=str(error))


def _read(file: Path) -> dict[str, Deaths]:
    """The entries of *file*; none where it is missing or damaged."""
    try:
        entries = json.loads(content_of(file, _MAX_FILE_BYTES))["payloads"].items()
        return {sha: _deaths(entry) for sha, entry in [*entries][-_MAX_ENTRIES:]}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, LookupError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        _log.warning(log_events.QUARANTINE_UNUSABLE, file=str(file), error=repr(error))
        return {}


def _deaths(entry: dict[str, Any]) -> Deaths:
    return Deaths(int(entry["count"]), str(entry["detail"]), int(entry.get("with_worker", 0)))
