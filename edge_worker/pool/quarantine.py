"""Payloads that ended the model process, so that none does it a third time; kept across restarts of the worker."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from threading import Lock
from typing import TYPE_CHECKING

import structlog

if TYPE_CHECKING:
    from pathlib import Path

_log = structlog.get_logger(__name__)

_FILE = "quarantine.json"
_SCHEMA = "edge-worker.quarantine/1"
_DEATHS_ALLOWED = 1  # once may be bad luck: memory was short, someone killed the process
_MAX_ENTRIES = 1000  # about 100 kB of file


@dataclass(frozen=True, slots=True)
class Deaths:
    """How often in a row the process ended under a payload, and how the last time."""

    count: int
    detail: str


class Quarantine:
    """Deaths by payload hash, in a file that is replaced as a whole; safe to share between threads.

    A file that cannot be read or written costs a warning, and the quarantine goes on in memory. To let a payload in
    again, delete its entry, or the file, and restart.
    """

    def __init__(self, state_directory: Path | None) -> None:
        """Take over what an earlier run left in *state_directory*; None: keep it in memory only."""
        self._file = None if state_directory is None else state_directory / _FILE
        self._lock = Lock()
        self._deaths = {} if self._file is None else _read(self._file)

    def verdict(self, payload_sha: str) -> str | None:
        """Why the payload must not be tried again; None: it may."""
        with self._lock:
            deaths = self._deaths.get(payload_sha)
        if deaths is None or deaths.count <= _DEATHS_ALLOWED:
            return None
        return f"the model process ended {deaths.count} times under this payload: {deaths.detail}"

    def died(self, payload_sha: str, detail: str) -> None:
        """The process ended under the payload, as *detail* says."""
        with self._lock:
            earlier = self._deaths.pop(payload_sha, None)
            self._deaths[payload_sha] = Deaths(1 if earlier is None else earlier.count + 1, detail)
            while len(self._deaths) > _MAX_ENTRIES:
                del self._deaths[next(iter(self._deaths))]
            self._save()

    def survived(self, payload_sha: str) -> None:
        """The process did not end under the payload: an earlier death was not its fault."""
        with self._lock:
            if self._deaths.pop(payload_sha, None) is not None:
                self._save()

    def __len__(self) -> int:
        """How many payloads are refused."""
        with self._lock:
            return sum(deaths.count > _DEATHS_ALLOWED for deaths in self._deaths.values())

    def _save(self) -> None:
        if self._file is None:
            return
        entries = {sha: asdict(deaths) for sha, deaths in self._deaths.items()}
        draft = self._file.with_suffix(".tmp")
        try:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            draft.write_text(json.dumps({"schema": _SCHEMA, "payloads": entries}, indent=1), encoding="utf-8")
            draft.replace(self._file)
        except OSError as error:
            _log.warning("quarantine is kept in memory only", file=str(self._file), error=str(error))


def _read(file: Path) -> dict[str, Deaths]:
    """The entries of *file*; none where it is missing or damaged."""
    try:
        document = json.loads(file.read_text(encoding="utf-8"))
        return {sha: Deaths(int(entry["count"]), str(entry["detail"])) for sha, entry in document["payloads"].items()}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        _log.warning("quarantine file is not usable, starting an empty one", file=str(file), error=repr(error))
        return {}
