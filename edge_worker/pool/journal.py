"""On-disk journal of frames in flight, read by the next worker after a crash."""

from __future__ import annotations

import os
import re
from contextlib import contextmanager
from threading import Lock
from typing import TYPE_CHECKING, Final

import structlog

from edge_worker.common import log_events
from edge_worker.common.files import locked

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_FILE: Final = "in_work"
_HASH: Final = re.compile(rb"[0-9a-f]{64}")
_LINE: Final = 65  # bytes per slot: a hash or blanks, and a newline
_BLANK: Final = b" " * (_LINE - 1) + b"\n"
_MAX_BYTES: Final = 64 * _LINE  # threads.processes is at most 64

_log = structlog.get_logger(__name__)


class Journal:
    """One line per slot: the hash of the payload in work, or blanks. The lines of a killed worker remain.

    The file stays open and locked, and lines are overwritten in place: two system calls per frame, without waiting for
    the disk, since the page cache survives a kill. If the file cannot be used, a warning is logged. Thread-safe.
    """

    def __init__(self, state_directory: Path | None, slots: int) -> None:
        """Read what the previous worker left in *state_directory* (None: no journal), and open the journal."""
        self._lock = Lock()
        self._descriptor: int | None = None
        self.left: tuple[str, ...] = ()
        """Hashes of the payloads that were in work when the previous worker ended, without repetition."""
        if state_directory is None:
            return
        try:
            state_directory.mkdir(parents=True, exist_ok=True)
            self._descriptor = locked(state_directory / _FILE, os.O_RDWR | os.O_CREAT)
            found = _HASH.findall(os.pread(self._descriptor, _MAX_BYTES, 0))
            os.ftruncate(self._descriptor, 0)
            os.pwrite(self._descriptor, _BLANK * slots, 0)
        except OSError as error:
            self._give_up(f"{state_directory / _FILE}: {_explain(error)}")
        else:
            self.left = tuple(sha.decode() for sha in dict.fromkeys(found))

    @contextmanager
    def entry(self, slot: int, payload_sha: str) -> Iterator[None]:
        """Record the payload as in flight in *slot* for the duration of the block."""
        self._write(slot, payload_sha.encode() + b"\n")
        try:
            yield
        finally:
            self._write(slot, _BLANK)

    def close(self) -> None:
        """Close the file; later writes are discarded."""
        with self._lock:
            descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)

    def _write(self, slot: int, line: bytes) -> None:
        problem = ""
        with self._lock:
            if self._descriptor is not None:
                try:
                    os.pwrite(self._descriptor, line, slot * _LINE)
                except OSError as error:
                    problem = str(error)
        if problem:
            self._give_up(problem)

    def _give_up(self, problem: str) -> None:
        self.close()
        _log.warning(log_events.JOURNAL_UNUSABLE, problem=problem)


def _explain(error: OSError) -> str:
    return "another worker uses it" if isinstance(error, BlockingIOError) else error.strerror or str(error)
