"""Quarantine of poison messages: payloads that crashed the model process; kept across restarts."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from threading import Lock
from typing import TYPE_CHECKING, Any, Final

import structlog

from edge_worker.common import log_events
from edge_worker.common.sealed import SealedFile

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_log = structlog.get_logger(__name__)

_FILE: Final = "quarantine.json"
_SCHEMA: Final = "edge-worker.quarantine/2"
_DEATHS_ALLOWED = 1  # once may be bad luck: memory was short, someone killed the process
# A worker may end for reasons other than its frames, and gets the same frame first after each start. While a network is
# compiled for the frame's shape it makes no progress: a worker killed every few seconds ended five times with a frame
# that was not to blame. One that is to blame costs some minutes of restarts.
_WORKER_DEATHS_ALLOWED = 19
_MAX_ENTRIES = 1000  # about 100 kB of file


@dataclass(frozen=True, slots=True)
class Deaths:
    """Consecutive deaths of the process on a payload, the cause of the last, and deaths together with the worker."""

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


def _deaths(entry: Mapping[str, Any]) -> Deaths:
    return Deaths(int(entry["count"]), str(entry["detail"]), int(entry["with_worker"]))


class Quarantine:
    """Deaths by payload hash, in a file that is replaced atomically. Thread-safe.

    A damaged file is set aside with a warning, and its valid entries are kept. If the file cannot be written, the
    quarantine is kept in memory, with a warning. To try a payload again, delete its entry, or the file, and restart.
    """

    def __init__(self, state_directory: Path | None) -> None:
        """Load the entries of *state_directory*; None keeps the quarantine in memory only."""
        self._file = None
        if state_directory is not None:
            self._file = SealedFile(state_directory / _FILE, _SCHEMA, "payloads", _deaths)
        self._lock = Lock()
        self._deaths: dict[str, Deaths] = {}
        if self._file is not None:
            self._load(self._file)

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
        """Record that the process and the worker ended together while the payload was in flight."""
        with self._lock:
            earlier = self._deaths.get(payload_sha, _NONE)
            self._enter(payload_sha, replace(earlier, with_worker=earlier.with_worker + 1))

    def survived(self, payload_sha: str) -> None:
        """Record that the process survived the payload, which clears it of earlier deaths."""
        with self._lock:
            if self._deaths.pop(payload_sha, None) is not None:
                self._save()

    def _enter(self, payload_sha: str, deaths: Deaths) -> None:
        self._deaths.pop(payload_sha, None)
        self._deaths[payload_sha] = deaths  # as the newest
        while len(self._deaths) > _MAX_ENTRIES:
            del self._deaths[next(iter(self._deaths))]
        self._save()

    def _load(self, file: SealedFile[Deaths]) -> None:
        """Load the newest valid entries of *file*; log a problem once."""
        found = file.read()
        self._deaths = dict([*found.entries.items()][-_MAX_ENTRIES:])
        if found.problem:
            _log.warning(
                log_events.QUARANTINE_DAMAGED, file=str(file.file), problem=found.problem, kept=len(self._deaths)
            )
            self._save()

    def _save(self) -> None:
        if self._file is None:
            return
        try:
            self._file.write({sha: asdict(deaths) for sha, deaths in self._deaths.items()})
        except OSError as error:
            _log.warning(log_events.QUARANTINE_IN_MEMORY, file=str(self._file.file), error=str(error))
